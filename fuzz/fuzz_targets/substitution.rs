//! Variables in an object: a text of YAML, and after a separator a mapping of names to values.

#![no_main]

use std::collections::{BTreeMap, BTreeSet};

use libfuzzer_sys::fuzz_target;
use lockgate_base::model::Object;
use lockgate_base::model::yaml::{Dialect, documents};
use lockgate_fuzz::SEPARATOR;
use lockgate_render::Budget;
use lockgate_render::Variables;
use lockgate_render::substitute::substitute;

fuzz_target!(|text: &str| {
    let (object, values) = text.split_once(SEPARATOR).unwrap_or((text, "A: 1\nB: two words\nC: ''\n"));
    let Some(object) = first(object).and_then(|value| Object::parse(value).ok()) else { return };
    let values: BTreeMap<String, String> = match first(values) {
        Some(serde_json::Value::Object(map)) => {
            map.into_iter().filter_map(|(name, value)| Some((name, value.as_str()?.to_owned()))).collect()
        }
        _ => BTreeMap::new(),
    };
    for strict in [false, true] {
        let secret: BTreeSet<String> = values.keys().take(1).cloned().collect();
        let Ok(variables) = Variables::new(values.clone(), secret, strict) else { return };
        if let Ok(result) = substitute(&object, &variables, &Budget::default()) {
            let again = substitute(&object, &variables, &Budget::default())
                .expect("what was substituted once is substituted again");
            assert_eq!(again, result);
        }
    }
});

fn first(text: &str) -> Option<serde_json::Value> {
    documents(text, Dialect::V2).ok()?.into_iter().next().map(|document| document.value)
}
