//! Values that hold each other are freed, and their content is counted.

use super::*;

#[test]
fn a_value_that_is_nested_a_million_times_is_freed_without_recursion() {
    let before = live();
    let mut value = Value::list(Vec::new());
    for at in 0..1_000_000 {
        value = if at % 2 == 0 { Value::list(vec![value]) } else { Value::map([("k", value)]) };
    }
    assert!(live() > before + 1_000_000 * size_of::<Value>());
    drop(value);
    assert_eq!(live(), before);
}

#[test]
fn what_values_hold_is_counted_and_given_back() {
    let before = live();
    let map = Map::new(MapType::Any);
    map.insert("k".into(), Value::str(vec![0; 1000])).unwrap();
    let other = map.seen_as(MapType::Values);
    other.insert("l".into(), Value::Nil).unwrap();
    assert!(live() > before + 1000);
    assert_eq!(map.len(), 2);
    assert_eq!(other.remove(b"k").and_then(|value| value.len()), Some(1000));
    assert_eq!(other.remove(b"l").map(|value| value.is_nil()), Some(true));
    drop((map, other));
    assert_eq!(live(), before);
}

#[test]
fn nothing_can_be_put_into_a_nil_map() {
    let error = Map::nil(MapType::Any).insert("k".into(), Value::Nil).unwrap_err();
    assert_eq!(error.text(), "assignment to entry in nil map");
}

#[test]
fn truth_is_gos() {
    let object: [(Value, bool); 8] = [
        (Value::Nil, false),
        (Value::Int(0), false),
        (Value::Float(-0.0), false),
        (Value::Float(f64::NAN), true),
        (Value::str(""), false),
        (Value::str("false"), true),
        (Value::list(vec![Value::Nil]), true),
        (Value::map::<&str>([]), false),
    ];
    for (value, truth) in object {
        assert_eq!(value.truth(), truth, "{value:?}");
    }
}
