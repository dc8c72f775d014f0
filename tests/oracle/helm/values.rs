//! Arguments for functions: an expression of each type that occurs, right or wrong.

use lockgate_render::helm::value::Type;

use crate::oracle::random::Random;

/// The `.Values` of these expressions.
pub(crate) const VALUES: &str = r#"{"map": {"a": [1, {"b": "x"}], "c": null, "b": {"c": 7}}, "list": [1, "a", null, [2], {"k": "v"}],
    "big": 1e22, "text": "some text"}"#;

const STRINGS: &[&str] = &[
    r#""""#,
    r#""a""#,
    r#""abc""#,
    r#""a b c""#,
    r#""a,b,,c""#,
    r#""héllo wörld""#,
    r#""HTTPServer2xx""#,
    r#""  x\t\n""#,
    r#""1""#,
    r#""-1.50""#,
    r#""0x1F""#,
    r#""true""#,
    r#""2024-02-29""#,
    r#""1h30m""#,
    r#""1.2.3""#,
    r#"">=1.0""#,
    r#""a+""#,
    r#""[a-c]*""#,
    r#""(""#,
    r#""$1""#,
    r#""%d %s""#,
    r#""{\"a\": [1, null]}""#,
    r#""a: [1, yes]\nb: x""#,
    r#""a = 1""#,
    r#""http://u:p@h:1/p?q#f""#,
    r#""YWJj""#,
    r#""MFRGG===""#,
    r#""../a//b.tar.gz""#,
    r#"(b64dec "/wBh/4A=")"#,
    ".Values.text",
    r#""2006-01-02""#,
    r#""UTC""#,
    r#""a\u0085b""#,
    r#""日本語""#,
    r#""string""#,
];
const INTS: &[&str] = &["0", "1", "2", "3", "5", "10", "-1", "-2", "100", "(len \"abcd\")"];
const LISTS: &[&str] =
    &["(list)", r#"(list 1 "a" nil 2.5)"#, r#"(list "b" "a" "b")"#, ".Values.list", "(rest (list 1))"];
const MAPS: &[&str] = &[
    "(dict)",
    r#"(dict "a" 1 "b" (dict "c" 2))"#,
    r#"(dict "a" nil)"#,
    ".Values.map",
    r#"(dict "host" "h")"#,
];
const STRING_LISTS: &[&str] = &[r#"(splitList "," "b,a,c")"#, r"(toStrings (list 1 2))"];
const TIMES: &[&str] = &["(now)", r#"(toDate "2006-01-02" "2024-02-29")"#];
const OTHERS: &[&str] = &[
    "nil",
    "true",
    "false",
    "1.5",
    "-0.5",
    "(int64 7)",
    "(float64 3)",
    ".Values.big",
    "(until 3)",
    r#"(split "," "a,b")"#,
    r#"(index "abc" 1)"#,
    ".Values.none",
    "(chunk 2 (until 3))",
    "1e3",
    "(now).Month",
];

/// An expression for a parameter of this type.
pub(crate) fn fitting(random: &mut Random, wanted: Type) -> &'static str {
    let pools: [&'static [&'static str]; 7] = [STRINGS, INTS, LISTS, MAPS, STRING_LISTS, TIMES, OTHERS];
    let from = match wanted {
        Type::String => STRINGS,
        Type::Int | Type::Int64 | Type::Uint32 => INTS,
        Type::Bool => &["true", "false"],
        Type::Float64 => &["0.5", "1.5", "-2.25"],
        Type::List => LISTS,
        Type::Strings => STRING_LISTS,
        Type::Map => MAPS,
        Type::StringMap => &[r#"(split "," "a,b")"#],
        Type::Object("time.Time") => TIMES,
        _ => pools[random.below(pools.len())],
    };
    let from: &'static [&'static str] = from;
    from[random.below(from.len())]
}

/// Any expression.
pub(crate) fn any(random: &mut Random) -> &'static str {
    fitting(random, Type::Any)
}
