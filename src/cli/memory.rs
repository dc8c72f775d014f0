//! A flag that is left out keeps its value of the last run. A given flag wins, and the overridden value is
//! printed.

use std::ffi::OsString;

use clap::parser::ValueSource;
use clap::{ArgMatches, Args};

use super::output::CommandError;
use super::pod::SEPARATOR;
use crate::bootstrap::memory::Flags;
use crate::bootstrap::progress::ProgressEvent;
use lockgate_base::keys;

/// The flags of the agent that are remembered.
pub(super) const AGENT: [&str; 12] = [
    "image",
    "lockdown",
    "adopt",
    "log-level",
    IMAGE_PULL_SECRET,
    "toleration",
    "node-selector",
    "cpu-request",
    "memory-request",
    "cpu-limit",
    "memory-limit",
    "env",
];

/// The flag whose values may end with a file of this machine, which the next machine does not have.
const IMAGE_PULL_SECRET: &str = "image-pull-secret";

/// Parses the arguments of this process, which are those of a command, and `more` after them.
fn parse<A: Args>(more: &[OsString]) -> Result<(A, ArgMatches), CommandError> {
    let usage = |error: clap::Error| CommandError::usage(error.to_string().trim_end().to_owned());
    let command = A::augment_args(clap::Command::new("lockgate"));
    let all = std::env::args_os().skip(1).chain(more.iter().cloned());
    let matches = command.try_get_matches_from(all).map_err(usage)?;
    Ok((A::from_arg_matches(&matches).map_err(usage)?, matches))
}

/// The flags among `names` that were given, each with its text.
fn given(matches: &ArgMatches, names: &[&str]) -> Flags {
    let matches = deepest(matches);
    let value = |name: &&str| {
        let id = name.replace('-', "_");
        let is_given = is_known(matches, name) && matches.value_source(&id) == Some(ValueSource::CommandLine);
        let values = is_given.then(|| matches.get_raw(&id)).flatten()?;
        let values = values.map(|value| value.to_str().map(|value| to_remember(name, value)));
        let text = values.collect::<Option<Vec<&str>>>()?.join(&SEPARATOR.to_string());
        Some(((*name).to_owned(), text))
    };
    names.iter().filter_map(value).collect()
}

/// Whether a subcommand has a flag: not every one has each of them.
fn is_known(matches: &ArgMatches, name: &str) -> bool {
    matches.try_contains_id(&name.replace('-', "_")).is_ok()
}

/// The part of a value that is remembered.
fn to_remember<'v>(name: &str, value: &'v str) -> &'v str {
    let secret = value.split_once('=').filter(|_| name == IMAGE_PULL_SECRET);
    secret.map_or(value, |(secret, _)| secret)
}

fn deepest(matches: &ArgMatches) -> &ArgMatches {
    matches.subcommand().map_or(matches, |(_, matches)| deepest(matches))
}

/// The arguments of a command together with the remembered flags.
pub(super) struct Recalled<A> {
    /// Its arguments.
    pub(super) arguments: A,
    /// The flags to remember, for each requested list.
    pub(super) kept: Vec<Flags>,
    /// Notes about the remembered and the changed flags.
    pub(super) told: Vec<ProgressEvent>,
}

/// Adds remembered flags to the given ones. Each list of names comes with the flags that are remembered for
/// it. `silent` is added too, without a note.
pub(super) fn recall<A: Args>(
    lists: &[(&[&str], &Flags)],
    silent: &[(&str, Option<&str>)],
) -> Result<Recalled<A>, CommandError> {
    let (_, matches) = parse::<A>(&[])?;
    let (mut more, mut before, mut instead) = (Vec::new(), Vec::new(), Vec::new());
    let mut kept = Vec::new();
    for (names, remembered) in lists {
        let given = given(&matches, names);
        for (name, value) in remembered.iter().filter(|(name, _)| names.contains(&name.as_str())) {
            match given.get(name) {
                // A flag of the other subcommand stays remembered.
                None if !is_known(deepest(&matches), name) => {}
                None => {
                    more.push(OsString::from(format!("--{name}={value}")));
                    before.push(format!("--{name} {}", shown(value)));
                }
                Some(now) if now != value => {
                    instead.push(format!("--{name} {} (was {})", shown(now), shown(value)));
                }
                Some(_) => {}
            }
        }
        let mut all = (*remembered).clone();
        all.extend(given);
        kept.push(all);
    }
    for (name, value) in silent {
        if let (Some(value), true) = (value, given(&matches, &[name]).is_empty()) {
            more.push(OsString::from(format!("--{name}={value}")));
        }
    }
    let told = [
        (!before.is_empty()).then(|| ProgressEvent::Fact(format!("remembered flags: {}", before.join(", ")))),
        (!instead.is_empty()).then(|| ProgressEvent::Note(format!("changed flags: {}", instead.join(", ")))),
    ];
    let (arguments, _) = parse(&more).map_err(|error| unusable(&error))?;
    Ok(Recalled { arguments, kept, told: told.into_iter().flatten().collect() })
}

/// The failure of flags that the user did not give.
fn unusable(error: &CommandError) -> CommandError {
    let told = error.told();
    let cause = told.lines().next().unwrap_or_default().trim_start_matches("error: ");
    CommandError::usage(format!("the flags that the cluster remembers cannot be used: {cause}")).hint(
        format!(
            "pass the flag, or correct the annotation {} of the Deployment or the GitRepository",
            keys::FLAGS
        ),
    )
}

/// Several values on one line.
fn shown(values: &str) -> String {
    values.replace(SEPARATOR, " and ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_remembered_flag_is_not_blamed_on_the_user() {
        let clap = "error: invalid value 'perhaps' for '--lockdown[=<LOCKDOWN>]'\n\nFor more information, try '--help'.";
        let error = unusable(&CommandError::usage(clap));
        let told = "the flags that the cluster remembers cannot be used: invalid value 'perhaps' for '--lockdown[=<LOCKDOWN>]'";
        assert_eq!((error.told().as_str(), error.code()), (told, 2));
    }

    #[test]
    fn of_a_login_the_name_is_remembered_and_not_the_file() {
        assert_eq!(to_remember("image-pull-secret", "r=/home/u/config.json"), "r");
        assert_eq!(to_remember("env", "A=b"), "A=b");
        assert_eq!(shown("A=b\nC=d"), "A=b and C=d");
    }
}
