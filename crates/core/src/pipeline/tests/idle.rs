//! The messages about objects without a controller.

use super::*;
use crate::api::Actors;
use crate::pipeline::idle;
use crate::plan::Inventory;
use lockgate_base::model::ObjectId;

type Side<'a> = (&'a [&'a ObjectId], &'a HealthRules);

#[test]
fn objects_that_nothing_acts_on_are_told_where_they_are_others_than_before() {
    let id = |group: &str, kind: &str, name: &str| ObjectId {
        namespace: "n".into(),
        name: name.into(),
        group: group.into(),
        kind: kind.into(),
    };
    let inventory = |ids: &[&ObjectId]| {
        let mut inventory = Inventory::default();
        for id in ids {
            inventory.insert((*id).clone(), "v1");
        }
        inventory
    };
    let map = id("", "ConfigMap", "a");
    let alert = id("notification.toolkit.fluxcd.io", "Alert", "a");
    let update = id("image.toolkit.fluxcd.io", "ImageUpdateAutomation", "a");
    let none = HealthRules::beside(Actors::default().idle_kinds());
    let flux =
        HealthRules::beside(Actors::new([("flux-system", "image-automation-controller")]).idle_kinds());
    let cases: [(Side<'_>, Side<'_>, &[&ObjectId]); 10] = [
        ((&[], &none), (&[&map], &none), &[]),
        ((&[], &none), (&[&map, &alert, &update], &none), &[&update, &alert]),
        ((&[], &flux), (&[&map, &alert, &update], &flux), &[&alert]),
        ((&[&alert], &none), (&[&map, &alert], &none), &[]),
        ((&[&alert], &none), (&[&alert, &update], &none), &[&update, &alert]),
        ((&[&alert, &update], &none), (&[&alert], &none), &[&alert]),
        ((&[&alert], &none), (&[&map], &none), &[]),
        // Only the controllers that run are others.
        ((&[&alert, &update], &flux), (&[&alert, &update], &none), &[&update, &alert]),
        ((&[&alert, &update], &none), (&[&alert, &update], &flux), &[&alert]),
        ((&[&update], &none), (&[&update], &flux), &[]),
    ];
    for (before, now, expected) in cases {
        let (managed, built) = (inventory(before.0), inventory(now.0));
        let mut news = idle::news((&managed, before.1), (&built, now.1));
        news.sort_by(|a, b| b.kind.cmp(&a.kind));
        assert_eq!(news.iter().collect::<Vec<_>>(), expected, "{:?} {:?}", before.0, now.0);
    }
}
