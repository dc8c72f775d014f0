//! Random values are compared by their shape: keys, certificates, hashes, encrypted texts, random texts.

use serde_json::json;

use super::{Helm, ours};

/// The output of lockgate for a template without values.
fn printed(template: &str) -> String {
    let text = ours(template.as_bytes(), &json!({})).unwrap_or_else(|error| panic!("{template}: {error}"));
    String::from_utf8(text).expect("text")
}

fn asked(helm: &mut Helm, template: &str, values: &serde_json::Value) -> String {
    let text = helm.ask(template.as_bytes(), values).unwrap_or_else(|error| panic!("{template}: {error}"));
    String::from_utf8(text).expect("text")
}

/// Keys for both sides.
fn keys(helm: &mut Helm) -> Vec<(&'static str, String)> {
    ["ecdsa", "ed25519"]
        .into_iter()
        .map(|kind| (kind, asked(helm, &format!("{{{{ genPrivateKey {kind:?} }}}}"), &json!({}))))
        .collect()
}

/// Compares the shapes of both sides' results for a certificate's expression.
fn same_shape(helm: &mut Helm, setup: &str, cert: &str, values: &serde_json::Value) {
    let theirs = asked(helm, &format!("{setup}{{{{ certificateShape {cert} $ca.Cert }}}}"), values);
    let template = format!("{setup}{{{{ {cert} }}}}|{{{{ $ca.Cert }}}}");
    let made = ours(template.as_bytes(), values).unwrap_or_else(|error| panic!("{template}: {error}"));
    let made = String::from_utf8(made).expect("text");
    let (made, authority) = made.split_once('|').expect("two certificates");
    let shape = asked(
        helm,
        "{{ certificateShape .Values.cert .Values.ca }}",
        &json!({"cert": made, "ca": authority}),
    );
    assert_eq!(shape, theirs, "{setup}");
    assert!(shape.ends_with("signed <nil>\n"), "{shape}");
}

#[test]
fn certificates_are_what_sprig_makes() {
    let mut helm = Helm::start();
    for (_, key) in keys(&mut helm) {
        let values = json!({"key": key});
        for setup in [
            "{{ $ca := genCAWithKey \"authority\" 365 .Values.key }}{{ $c := $ca }}",
            "{{ $ca := genCAWithKey \"\" 0 .Values.key }}{{ $c := $ca }}",
            "{{ $ca := genCAWithKey \"é*@\" 36500 .Values.key }}{{ $c := $ca }}",
            "{{ $ca := genSelfSignedCertWithKey \"x.y\" (list \"10.0.0.1\" \"::1\" \"::ffff:1.2.3.4\") \
             (list \"a.b\" \"*.c\") 30 .Values.key }}{{ $c := $ca }}",
            "{{ $ca := genSelfSignedCertWithKey \"\" nil (list \"a.b\") -1 .Values.key }}{{ $c := $ca }}",
            "{{ $ca := genSelfSignedCertWithKey \"x\" (list) (list) 200000 .Values.key }}{{ $c := $ca }}",
            "{{ $ca := genCAWithKey \"a\" 365 .Values.key }}\
             {{ $c := genSignedCertWithKey \"b\" (list \"1.2.3.4\") (list \"b.c\") 10 $ca .Values.key }}",
            "{{ $ca := genCAWithKey \"a\" 365 .Values.key }}\
             {{ $c := genSignedCertWithKey \"a\" nil nil 10 $ca .Values.key }}",
            "{{ $ca := genSelfSignedCertWithKey \"a\" nil nil 365 .Values.key }}\
             {{ $c := genSignedCertWithKey \"b\" nil nil 10 $ca .Values.key }}",
        ] {
            same_shape(&mut helm, setup, "$c.Cert", &values);
        }
    }
    let rsa = "{{ $ca := genCA \"a\" 365 }}{{ $c := genSignedCert \"b\" nil (list \"c\") 10 $ca }}";
    same_shape(&mut helm, rsa, "$c.Cert", &json!({}));
}

#[test]
fn keys_are_whole_and_of_the_kind_that_was_asked_for() {
    let mut helm = Helm::start();
    let shape =
        |helm: &mut Helm, key: String| asked(helm, "{{ keyShape .Values.key }}", &json!({ "key": key }));
    for kind in ["ecdsa", "ed25519", "dsa"] {
        let template = format!("{{{{ genPrivateKey {kind:?} }}}}");
        let ours = shape(&mut helm, printed(&template));
        let theirs = asked(&mut helm, &template, &json!({}));
        assert_eq!(ours, shape(&mut helm, theirs), "{kind}");
        assert!(!ours.contains("false"), "{ours}");
    }
    let rsa = printed("{{ (genCA \"a\" 1).Key }}");
    assert_eq!(shape(&mut helm, rsa), "RSA PRIVATE KEY2048 65537 <nil>");
}

#[test]
fn hashes_and_encrypted_texts_are_read_by_go() {
    let mut helm = Helm::start();
    for password in ["", "secret", "é", &"x".repeat(72)] {
        let line = printed(&format!("{{{{ htpasswd \"user\" {password:?} }}}}"));
        let hash = line.strip_prefix("user:").expect("the user comes first");
        let values = json!({"hash": hash, "password": password});
        assert_eq!(asked(&mut helm, "{{ bcryptMatches .Values.hash .Values.password }}", &values), "<nil>");
        let wrong = json!({"hash": hash, "password": "wrong"});
        assert_ne!(asked(&mut helm, "{{ bcryptMatches .Values.hash .Values.password }}", &wrong), "<nil>");
    }
    for (key, plain) in [("k", "text"), ("", "sixteen bytes ok"), (&*"k".repeat(40), "é")] {
        let encrypted = printed(&format!("{{{{ encryptAES {key:?} {plain:?} }}}}"));
        let values = json!({"key": key, "text": encrypted});
        assert_eq!(asked(&mut helm, "{{ decryptAES .Values.key .Values.text }}", &values), plain);
    }
}

#[test]
fn drawn_texts_have_their_length_and_alphabet() {
    let fits: [(&str, fn(char) -> bool); 4] = [
        ("randAlphaNum", |c| c.is_ascii_alphanumeric()),
        ("randAlpha", |c| c.is_ascii_alphabetic()),
        ("randNumeric", |c| c.is_ascii_digit()),
        ("randAscii", |c| (' '..='~').contains(&c)),
    ];
    for (name, fits) in fits {
        let drawn = printed(&format!("{{{{ {name} 300 }}}}"));
        assert!(drawn.len() == 300 && drawn.chars().all(fits), "{name}: {drawn}");
        assert_eq!(printed(&format!("{{{{ {name} 0 }}}}{{{{ {name} -1 }}}}")), "");
        // Equal entropy gives equal text, and two draws of one render differ.
        assert_eq!(printed(&format!("{{{{ {name} 300 }}}}")), drawn);
        assert_ne!(
            printed(&format!("{{{{ {name} 20 }}}}|{{{{ {name} 20 }}}}")).split_once('|').map(|(a, b)| a == b),
            Some(true)
        );
    }
    let uuid = printed("{{ uuidv4 }}");
    assert!(uuid.len() == 36 && uuid.as_bytes()[14] == b'4' && "89ab".contains(&uuid[19..20]), "{uuid}");
    assert_eq!(printed("{{ randBytes 12 | b64dec | len }}"), "12");
    let shuffled = printed("{{ shuffle \"abcdefghijklmnopqrstuvwxyz\" }}");
    let mut sorted: Vec<char> = shuffled.chars().collect();
    sorted.sort_unstable();
    assert_eq!(sorted.into_iter().collect::<String>(), "abcdefghijklmnopqrstuvwxyz");
    assert_ne!(shuffled, "abcdefghijklmnopqrstuvwxyz");
    let number: i64 = printed("{{ randInt 5 9 }}").parse().expect("a number");
    assert!((5..9).contains(&number));
}
