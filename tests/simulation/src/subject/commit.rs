//! Commits of people that change Kustomizations and their objects.

use crate::chance::Chance;
use crate::platform::{Form, INPUTS, Platform, Thing, Unit, definition_name};

/// The platform that a seed begins with.
pub(crate) fn first(chance: &mut Chance, units: u64) -> Platform {
    let mut platform = Platform::default();
    for number in 0..units {
        let mut unit = new_unit(chance);
        for earlier in 0..number {
            if chance.below(units * 3) < 4 {
                unit.depends_on.insert(format!("unit-{earlier}"));
            }
        }
        let count = 4 + chance.below(5);
        if chance.happens(20) {
            let within = add_house(&mut unit, chance);
            let many = 1 + chance.below(3);
            (0..many).for_each(|_| add_within(&mut unit, &within, chance));
        }
        while u64::try_from(unit.things.len()).is_ok_and(|things| things < count) {
            add_plain(&mut unit, chance);
        }
        platform.units.insert(format!("unit-{number}"), unit);
    }
    platform
}

fn new_unit(chance: &mut Chance) -> Unit {
    let input = chance.happens(25).then(|| chance.index(INPUTS.len()));
    Unit {
        prune: !chance.happens(5),
        wait: chance.happens(60),
        force: chance.happens(10),
        input,
        ..Unit::default()
    }
}

fn add_plain(unit: &mut Unit, chance: &mut Chance) -> String {
    let kind = chance.pick(&Form::PLAIN).copied().unwrap_or(Form::ConfigMap);
    let name = format!("thing-{}", chance.below(100_000));
    let broken = matches!(kind, Form::Deployment | Form::Job) && chance.happens(2);
    unit.things.insert(name.clone(), Thing { broken, ..Thing::new(kind, chance.below(1000)) });
    name
}

/// Adds a namespace or a definition.
fn add_house(unit: &mut Unit, chance: &mut Chance) -> String {
    let number = chance.below(100_000);
    let (kind, name) = if chance.happens(50) {
        (Form::Namespace, format!("space-{number}"))
    } else {
        (Form::Definition, definition_name(number))
    };
    unit.things.insert(name.clone(), Thing::new(kind, chance.below(1000)));
    name
}

/// Adds a thing that stands in a namespace, or is of the kind of a definition.
fn add_within(unit: &mut Unit, within: &str, chance: &mut Chance) {
    let is_namespace = !within.contains('.');
    let kind = if is_namespace { chance.pick(&Form::PLAIN).copied() } else { None };
    let kind = kind.unwrap_or(Form::Custom);
    let thing = Thing { within: Some(within.to_owned()), ..Thing::new(kind, chance.below(1000)) };
    unit.things.insert(format!("inner-{}", chance.below(100_000)), thing);
}

/// Changes something, and says what.
pub(super) fn change(platform: &mut Platform, chance: &mut Chance) -> Option<String> {
    let names: Vec<String> = platform.units.keys().cloned().collect();
    let (name, other) = (chance.pick(&names)?.clone(), chance.pick(&names)?.clone());
    let things: Vec<String> = platform.units.get(&name)?.things.keys().cloned().collect();
    let thing = chance.pick(&things)?.clone();
    let told = match chance.below(100) {
        0..18 => change_thing(platform, &name, &thing, chance),
        18..24 => change_fixed(platform, &name, chance),
        24..32 => drop_thing(platform, &name, &thing),
        32..44 => move_thing(platform, &name, &other, &thing),
        44..49 => rename_thing(platform, &name, &thing, chance),
        49..53 => share_thing(platform, &name, &other, &thing, chance),
        53..56 => drop_unit(platform, &name, names.len()),
        56..58 => drop_with_dependents(platform, &name),
        58..63 => Some(add_unit(platform, chance)),
        63..67 => rename_unit(platform, &name, chance),
        67..77 => depend(platform, &name, &other),
        77..85 => set_fields(platform, &name, chance),
        85..91 => add_house_with_things(platform, &name, &other, chance),
        _ => None,
    };
    told.or_else(|| {
        let added = add_plain(platform.units.get_mut(&name)?, chance);
        Some(format!("adds {added} to {name}"))
    })
}

fn change_thing(platform: &mut Platform, unit: &str, name: &str, chance: &mut Chance) -> Option<String> {
    let thing = platform.units.get_mut(unit)?.things.get_mut(name)?;
    thing.value = chance.below(1000);
    thing.broken &= chance.happens(50);
    Some(format!("changes {name} of {unit}"))
}

/// Changes what cannot be changed of a thing that one Kustomization alone holds. Some may be made anew, by
/// their own annotation or by their Kustomization's `force`, and some not.
fn change_fixed(platform: &mut Platform, unit: &str, chance: &mut Chance) -> Option<String> {
    let all = &platform.units.get(unit)?.things;
    let names: Vec<String> = all
        .iter()
        .filter(|(name, thing)| thing.kind.has_fixed() && platform.holders(&thing.key(name)).len() == 1)
        .map(|(name, _)| name.clone())
        .collect();
    let name = chance.pick(&names)?;
    let of = platform.units.get_mut(unit)?;
    let thing = of.things.get_mut(name)?;
    thing.fixed = chance.below(5);
    if chance.happens(50) {
        of.force = true;
    } else {
        thing.forced = !chance.happens(10);
    }
    Some(format!("changes what cannot be changed of {name} of {unit}"))
}

/// Drops a thing and what stands in it, unless that leaves a Kustomization with nothing.
fn drop_thing(platform: &mut Platform, unit: &str, name: &str) -> Option<String> {
    let holds_others = platform.units.get(unit)?.things.get(name)?.kind.holds_others();
    let mut without = platform.clone();
    without.units.get_mut(unit)?.things.remove(name);
    if holds_others {
        for unit in without.units.values_mut() {
            unit.things.retain(|_, thing| thing.within.as_deref() != Some(name));
        }
    }
    if without.units.values().any(|unit| unit.things.is_empty()) {
        return None;
    }
    *platform = without;
    Some(format!("drops {name} from {unit}"))
}

fn may_lose(platform: &Platform, unit: &str) -> bool {
    platform.units.get(unit).is_some_and(|unit| unit.things.len() > 1)
}

fn move_thing(platform: &mut Platform, from: &str, to: &str, name: &str) -> Option<String> {
    let is_there = platform.units.get(to)?.things.contains_key(name);
    if from == to || is_there || !may_lose(platform, from) {
        return None;
    }
    let thing = platform.units.get_mut(from)?.things.remove(name)?;
    platform.units.get_mut(to)?.things.insert(name.to_owned(), thing);
    Some(format!("moves {name} from {from} to {to}"))
}

fn rename_thing(platform: &mut Platform, unit: &str, name: &str, chance: &mut Chance) -> Option<String> {
    let things = &mut platform.units.get_mut(unit)?.things;
    if things.get(name)?.kind.holds_others() {
        return None;
    }
    let thing = things.remove(name)?;
    let new = format!("thing-{}", chance.below(100_000));
    things.insert(new.clone(), thing);
    Some(format!("renames {name} of {unit} to {new}"))
}

/// Two Kustomizations hold one thing, sometimes each in its own way.
fn share_thing(
    platform: &mut Platform,
    unit: &str,
    other: &str,
    name: &str,
    chance: &mut Chance,
) -> Option<String> {
    let mut thing = platform.units.get(unit)?.things.get(name)?.clone();
    let can_be_shared = thing.kind.can_be_shared() && thing.fixed == 0;
    if unit == other || !can_be_shared || platform.units.get(other)?.things.contains_key(name) {
        return None;
    }
    if chance.happens(30) {
        thing.value = chance.below(1000);
    }
    platform.units.get_mut(other)?.things.insert(name.to_owned(), thing);
    Some(format!("shares {name} of {unit} with {other}"))
}

fn drop_unit(platform: &mut Platform, name: &str, units: usize) -> Option<String> {
    let houses = platform.units.get(name)?.things.values().any(|thing| thing.kind.holds_others());
    if units < 3 || houses {
        return None;
    }
    platform.units.remove(name);
    for unit in platform.units.values_mut() {
        unit.depends_on.remove(name);
    }
    Some(format!("drops {name}"))
}

/// Drops a Kustomization and all that depends on it.
fn drop_with_dependents(platform: &mut Platform, name: &str) -> Option<String> {
    let names = platform.units.keys();
    let dropped: Vec<String> =
        names.filter(|other| *other == name || platform.depends(other, name)).cloned().collect();
    let houses = |name: &String| platform.units[name].things.values().any(|thing| thing.kind.holds_others());
    if dropped.len() + 2 > platform.units.len() || dropped.iter().any(houses) {
        return None;
    }
    platform.units.retain(|name, _| !dropped.contains(name));
    Some(format!("drops {}", dropped.join(", ")))
}

fn add_unit(platform: &mut Platform, chance: &mut Chance) -> String {
    let mut unit = new_unit(chance);
    let many = 1 + chance.below(4);
    (0..many).for_each(|_| drop(add_plain(&mut unit, chance)));
    let name = format!("unit-{}", 100 + chance.below(1000));
    platform.units.insert(name.clone(), unit);
    format!("adds {name}")
}

/// A Kustomization of another name with the same objects.
fn rename_unit(platform: &mut Platform, name: &str, chance: &mut Chance) -> Option<String> {
    let unit = platform.units.remove(name)?;
    let new = format!("unit-{}", 100 + chance.below(1000));
    platform.units.insert(new.clone(), unit);
    for unit in platform.units.values_mut() {
        if unit.depends_on.remove(name) {
            unit.depends_on.insert(new.clone());
        }
    }
    Some(format!("renames {name} to {new}"))
}

fn depend(platform: &mut Platform, name: &str, on: &str) -> Option<String> {
    if name == on || platform.depends(on, name) {
        return None;
    }
    let depends_on = &mut platform.units.get_mut(name)?.depends_on;
    if !depends_on.remove(on) {
        depends_on.insert(on.to_owned());
    }
    Some(format!("changes whether {name} depends on {on}"))
}

fn set_fields(platform: &mut Platform, name: &str, chance: &mut Chance) -> Option<String> {
    let new = new_unit(chance);
    let unit = platform.units.get_mut(name)?;
    (unit.prune, unit.wait, unit.force, unit.input) = (new.prune, new.wait, new.force, new.input);
    Some(format!("changes fields of {name}"))
}

/// A namespace or definition, with things in it that may be another Kustomization's.
fn add_house_with_things(
    platform: &mut Platform,
    unit: &str,
    other: &str,
    chance: &mut Chance,
) -> Option<String> {
    let house = add_house(platform.units.get_mut(unit)?, chance);
    let inner = if chance.happens(70) { unit } else { other };
    for _ in 0..=chance.below(3) {
        add_within(platform.units.get_mut(inner)?, &house, chance);
    }
    Some(format!("adds {house} to {unit}, and things in it to {inner}"))
}
