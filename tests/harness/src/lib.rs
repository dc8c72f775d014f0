//! The real parts that tests, demo and benchmarks run against.
