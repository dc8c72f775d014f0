//! The chain: what is read from a cluster, decided, written and waited for, through ports that the adapters implement.

pub mod ports;
