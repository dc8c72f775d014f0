//! Versions and ranges as Masterminds reads them; `tests/oracle` compares more of them with the library
//! itself.

use super::*;

fn version(text: &str) -> Version {
    Version::parse(text).unwrap()
}

#[test]
fn ranges_hold_what_masterminds_takes_them_to_hold() {
    let cases: &[(&str, &str, &str)] = &[
        ("*", "0.0.1 1.2.3 99.0.0", "1.0.0-rc.1"),
        (">=1.0.0 <2.0.0", "1.0.0 1.9.9", "0.9.9 2.0.0 1.5.0-rc.1 2.0.0-rc.1"),
        (">=1.0.0, <2.0.0", "1.0.0 1.9.9", "0.9.9 2.0.0"),
        (">= 1.0.0 < 2", "1.0.0 1.9.9", "2.0.0"),
        ("1.2.3", "1.2.3 v1.2.3", "1.2.4 1.2.2 1.3.0"),
        ("=v1.2.3", "1.2.3", "1.2.4"),
        ("1.2", "1.2.0 1.2.9 1.2", "1.3.0 1.1.9"),
        ("1.x", "1.0.0 1.9.0 1", "2.0.0 0.9.0"),
        ("1.2.*", "1.2.0 1.2.9", "1.3.0"),
        ("1.*.3", "1.0.0 1.2.3 1.9.4", "2.2.3"),
        ("~1", "1.0.0 1.9.9", "2.0.0"),
        ("~1.2", "1.2.0 1.2.9", "1.3.0"),
        ("~1.2.3", "1.2.3 1.2.9", "1.2.2 1.3.0"),
        ("~>1.2.3", "1.2.3 1.2.9", "1.3.0"),
        ("^1", "1.0.0 1.9.9", "2.0.0"),
        ("^1.2.3", "1.2.3 1.9.9", "1.2.2 2.0.0"),
        ("^0.2.3", "0.2.3 0.2.9", "0.3.0"),
        ("^0.0.3", "0.0.3", "0.0.4"),
        ("^0.0", "0.0.0 0.0.9", "0.1.0"),
        ("^0", "0.0.0 0.9.9", "1.0.0"),
        (">1", "2.0.0", "1.0.0 1.9.9"),
        (">1.2", "1.3.0", "1.2.9"),
        (">1.2.3", "1.2.4", "1.2.3"),
        ("<=1", "1.9.9 0.1.0", "2.0.0"),
        ("<=1.2.3", "1.2.3", "1.2.4"),
        ("!=1.2.3", "1.2.4", "1.2.3"),
        ("!=1.2", "1.3.0", "1.2.3"),
        (">1.0.0 !=1.5.0", "1.4.0", "1.5.0"),
        ("1.0 - 2.0", "1.0.0 2.0.9", "2.1.0 0.9.0"),
        ("1.2.3 - 2.3.4", "1.2.3 2.3.4", "2.3.5"),
        ("<1.0.0 || >=2.0.0", "0.9.0 2.0.0", "1.5.0"),
        (">=1.0.0-0", "1.0.0-rc.1 1.0.0 2.0.0-alpha", "0.9.0"),
        (">=1.19-0", "1.19.0 1.20.1-gke.100 1.27.3+k3s1", "1.18.9"),
        ("<2-0", "1.9.9 1.0.0-rc.1", "2.0.0 2.0.1"),
        (">=1.0.0-0 <2.0.0-0", "1.0.0-rc.1 1.9.0", "2.0.0-rc.1 2.0.0"),
        ("1.0.0-rc.1", "1.0.0-rc.1", "1.0.0-rc.2 1.0.0"),
        ("~1.2.3-beta", "1.2.3-beta 1.2.3", "1.3.0-alpha 1.3.0"),
    ];
    for (range, inside, outside) in cases {
        let parsed = Range::parse(range).unwrap();
        for text in inside.split(' ') {
            assert!(parsed.contains(&version(text)), "{range} holds {text}");
        }
        for text in outside.split(' ') {
            assert!(!parsed.contains(&version(text)), "{range} does not hold {text}");
        }
    }
}

#[test]
fn what_is_no_range_is_refused_by_name() {
    for text in ["", "latest", ">=", "1.2.3.4", "a || b", "|| 1", "- 2", ">1<2", "1,,2"] {
        let error = Range::parse(text).unwrap_err().to_string();
        assert!(error.starts_with("improper constraint: \""), "{text}: {error}");
    }
    for text in ["1x", "99999999999999999999", "1|2"] {
        assert_eq!(Range::parse(text).unwrap_err().to_string(), "constraint parser error", "{text}");
    }
    assert_eq!(
        Range::parse(&"1 ".repeat(300)).unwrap_err().to_string(),
        "constraint string is too long (max 512 bytes)"
    );
    let many = vec!["1"; 33].join("||");
    assert_eq!(Range::parse(&many).unwrap_err().to_string(), "too many constraint groups (max 32)");
}

#[test]
fn what_is_no_version_is_refused() {
    for text in ["", "v", "x", "1.2.3.4", "1.", "1.2.3-", "1.2.3+", "1.2.3-a..b", "-1", " 1", "V1", "1.2.3 "]
    {
        assert_eq!(Version::parse(text).unwrap_err().to_string(), "invalid semantic version", "{text}");
    }
    assert_eq!(Version::parse("1.2.3-01").unwrap_err().to_string(), "version segment starts with 0");
    let error = Version::parse("1.99999999999999999999").unwrap_err().to_string();
    assert!(error.ends_with("parsing \"99999999999999999999\": value out of range"), "{error}");
}

#[test]
fn versions_have_an_order() {
    let ordered =
        ["1", "1.0.1-0", "1.0.1-1", "1.0.1-a", "1.0.1-a.1", "1.0.1-a.b", "1.0.1-b", "1.0.1", "1.1", "v2"];
    for (at, left) in ordered.iter().enumerate() {
        for (other, right) in ordered.iter().enumerate() {
            assert_eq!(version(left).compare(&version(right)), at.cmp(&other), "{left} {right}");
        }
    }
    assert!(version("1.0.0+a").compare(&version("1.0.0+b")).is_eq());
    assert_eq!(version("v1.2-rc+x").to_string(), "1.2.0-rc+x");
}

#[test]
fn a_tag_names_a_whole_version_or_none() {
    for tag in ["1.2.3", "v1.2.3", "0.0.0-rc.1", "v10.20.30+build", "1.2.3-0.a+b"] {
        assert_eq!(Version::of_tag(tag).map(|version| version.original), Some(tag.to_owned()));
    }
    for tag in ["1.2", "v1", "", "vv1.2.3", "release-1.2.3", "1.02.3", "01.2.3", "1.2.3-01", "1.2.3.4"] {
        assert_eq!(Version::of_tag(tag), None, "{tag}");
    }
    let newest = ["1.0.0+b.2", "1.0.0", "1.0.0+b.10"].map(|tag| Version::of_tag(tag).unwrap());
    let newest = newest.into_iter().max_by(Version::compare_whole).unwrap();
    assert_eq!(newest.original, "1.0.0+b.10", "metadata decides between equal versions");
}

proptest::proptest! {
    #[test]
    fn no_text_makes_it_panic(range in "[-0-9.xX*<>=!~^|, va+é]{0,30}", text in "[-0-9.v+a]{0,12}") {
        if let (Ok(range), Ok(version)) = (Range::parse(&range), Version::parse(&text)) {
            range.contains(&version);
        }
    }
}
