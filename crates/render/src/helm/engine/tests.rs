//! Charts without an end, each stopped by a bound that names the template.

use super::super::context::{NoCluster, Now};
use super::super::value::live;
use super::*;
use crate::budget::{Cost, Spent};

/// Renders one template on a stack as large as a render has.
fn rendered(text: &str) -> Result<String, String> {
    rendered_after(0, text)
}

/// Renders one template after this many steps of the budget are spent.
fn rendered_after(spent: u64, text: &str) -> Result<String, String> {
    let text = text.to_owned();
    let work = move || {
        let before = live();
        let result = {
            let mut context = RenderContext::new(Now::default(), [7; 32], &NoCluster);
            context.budget().spend(Cost::Steps, usize::try_from(spent).unwrap()).unwrap();
            let top = Map::new(MapType::Values);
            top.insert("Values".into(), Value::map::<&str>([])).unwrap();
            let path = Str::from("c/templates/a.yaml");
            let file = Renderable {
                path: path.clone(),
                text: text.into_bytes().into(),
                top,
                base_path: "c/templates".into(),
            };
            match render(vec![file], &ParsedTemplates::default(), &mut context) {
                Ok(mut printed) => Ok(String::from_utf8(printed.remove(&path).unwrap()).unwrap()),
                Err(error) => Err(error.text()),
            }
        };
        // Maps that contain themselves are freed too.
        assert_eq!(live(), before, "memory is not given back");
        result
    };
    #[expect(clippy::disallowed_types, reason = "the product renders on a thread with this stack")]
    let thread = std::thread::Builder::new().stack_size(256 << 20);
    thread.spawn(work).unwrap().join().unwrap()
}

#[test]
fn each_bound_has_its_error() {
    let steps = Spent::Count(Cost::Steps).to_string();
    let cases = [
        // This bound is helm's own.
        (
            r#"{{ define "x" }}{{ include "x" . }}{{ end }}{{ include "x" . }}"#,
            "rendering template has a nested reference name: x: unable to execute template",
        ),
        (
            r#"{{ define "x" }}{{ template "x" . }}{{ end }}{{ template "x" . }}"#,
            "templates and their expressions nest more than 20000 deep",
        ),
        (
            r#"{{ $t := "{{ tpl .t . }}" }}{{ tpl $t (dict "t" $t) }}"#,
            "templates and their expressions nest more than 20000 deep",
        ),
        (
            r#"{{ range 100000 }}{{ print "0123456789012345678901234567890123456789" | repeat 100 }}{{ end }}"#,
            "the templates print more than 64 MiB",
        ),
        // The output of a template before an `include` counts, too.
        (
            r#"{{ define "x" }}{{ range 300 }}{{ repeat 10000 "x" }}{{ end }}{{ include "x" . }}{{ end }}{{ include "x" . }}"#,
            "the templates print more than 64 MiB",
        ),
        (
            r#"{{ $s := "0123456789" }}{{ range 100 }}{{ $s = print $s $s }}{{ end }}"#,
            "a string is larger than 16 MiB",
        ),
        (
            r#"{{ $l := list }}{{ range 100 }}{{ $l = append $l (repeat 4000000 "x") }}{{ end }}"#,
            "the chart's values take more than 128 MiB of memory",
        ),
        (
            r#"{{ $d := dict }}{{ $_ := set $d "d" $d }}{{ $d }}"#,
            "a value holds itself, or is more than 10000 levels deep",
        ),
        (
            r#"{{ $d := dict }}{{ $_ := set $d "d" $d }}{{ toJson $d }}"#,
            "a value holds itself, or is more than 10000 levels deep",
        ),
        (r"{{ until 2000000000 }}", &steps),
    ];
    for (text, message) in cases {
        let error = rendered(text).unwrap_err();
        assert!(error.contains(message), "{text}\n{error}");
        assert!(error.contains("c/templates/a.yaml") || error.contains("gotpl"), "{text}\n{error}");
    }
    // Running all steps of a budget one by one would take seconds.
    let text = "{{ range 1000000 }}{{ range 1000000 }}{{ end }}{{ end }}";
    let error = rendered_after(Cost::Steps.limit() - 1_000_000, text).unwrap_err();
    assert!(error.contains(&steps) && error.contains("c/templates/a.yaml"), "{error}");
}

/// The bound in steps is one in time. Each call has but a part of it left, so that the test is fast.
#[test]
fn each_function_that_takes_long_spends_the_budget() {
    let key = r#"{{ $key := genPrivateKey "ecdsa" }}"#;
    let authority = r#"{{ $ca := genCAWithKey "a" 1 (genPrivateKey "ecdsa") }}"#;
    let text = r#"{{ $text := repeat 100000 "A" }}"#;
    let cases = [
        (1_500_000, "", r#"genCA "a" 1"#),
        (1_500_000, "", r#"genSelfSignedCert "a" nil nil 1"#),
        (1_500_000, authority, r#"genSignedCert "a" nil nil 1 $ca"#),
        (500_000, key, r#"genCAWithKey "a" 1 $key"#),
        (500_000, key, r#"genSelfSignedCertWithKey "a" nil nil 1 $key"#),
        (1_500_000, "", r#"genPrivateKey "rsa""#),
        (300_000, "", r#"genPrivateKey "dsa""#),
        (100_000, "", r#"genPrivateKey "ecdsa""#),
        (100_000, "", r#"genPrivateKey "ed25519""#),
        // An RSA key of tens of thousands of bits would be used for minutes.
        (1_500_000, "", r#"genCAWithKey "a" 1 (repeat 20000 "A")"#),
        (700_000, "", r#"derivePassword 1 "long" "a" "b" "c""#),
        (500_000, "", r#"bcrypt "a""#),
        (500_000, "", r#"htpasswd "a" "b""#),
        (40_000, text, r#"regexMatch "(a|b)*c" $text"#),
        // Each match looks at the whole rest.
        (40_000, text, r#"regexFindAll ".*[^A-Z]|[A-Z]" $text -1"#),
        (40_000, text, r#"regexReplaceAll ".*[^A-Z]|[A-Z]" $text "b""#),
        (40_000, text, r#"regexSplit ".*[^A-Z]|[A-Z]" $text -1"#),
        // Each byte leads to a state that looks at all those of the pattern.
        (40_000, text, r#"regexFind "[A-Z]*A[A-Z]{900}a" $text"#),
        // Each pattern is another one.
        (100_000, "", r#"regexMatch (print "a" $i) "b""#),
    ];
    let steps = Spent::Count(Cost::Steps).to_string();
    for (left, before, call) in cases {
        let text = format!("{before}{{{{ range $i := until 10000 }}}}{{{{ $_ := {call} }}}}{{{{ end }}}}");
        let error = rendered_after(Cost::Steps.limit() - left, &text).unwrap_err();
        assert!(error.contains(&steps) && error.contains("c/templates/a.yaml"), "{call}: {error}");
    }
}

#[test]
fn what_nests_too_deep_is_refused_when_it_is_parsed() {
    let open = "{{ if 1 }}".repeat(6000);
    assert!(rendered(&open).unwrap_err().contains("blocks nest more than 5000 deep"));
    let parens = format!("{{{{ {} }}}}", "(".repeat(10_001));
    assert!(rendered(&parens).unwrap_err().contains("max expression depth exceeded"));
    let many = "{{.}}".repeat(200_000);
    assert!(rendered(&many).unwrap_err().contains("the text has more than 500000 parts"));
}

#[test]
fn a_deep_value_is_no_reason_to_fail() {
    let text = r"{{ $l := list }}{{ range 9000 }}{{ $l = list $l }}{{ end }}{{ len $l }}";
    assert_eq!(rendered(text).as_deref(), Ok("1"));
}

#[test]
fn one_render_is_like_another() {
    let text = r"{{ randAlphaNum 20 }} {{ now.Unix }} {{ uuidv4 }}";
    let first = rendered(text).unwrap();
    assert_eq!(rendered(text).unwrap(), first);
}
