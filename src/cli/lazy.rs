//! Arguments of a command that are described to clap only when the command is named.

use clap::error::Error;
use clap::{ArgMatches, Args, Command, FromArgMatches, Id};

/// The arguments of one of several commands. To describe those of all commands takes as long as a short
/// command itself.
pub(super) struct Lazy<T>(pub(super) Box<T>);

impl<T: Args> Args for Lazy<T> {
    fn group_id() -> Option<Id> {
        T::group_id()
    }

    fn augment_args(command: Command) -> Command {
        if names_command() { command.defer(T::augment_args) } else { T::augment_args(command) }
    }

    fn augment_args_for_update(command: Command) -> Command {
        T::augment_args_for_update(command)
    }
}

impl<T: FromArgMatches> FromArgMatches for Lazy<T> {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, Error> {
        T::from_arg_matches(matches).map(|arguments| Self(Box::new(arguments)))
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), Error> {
        self.0.update_from_arg_matches(matches)
    }
}

/// Whether the process was started with the name of a command. If not, clap prints help, which lists the
/// purpose of each command.
fn names_command() -> bool {
    std::env::args_os()
        .nth(1)
        .is_some_and(|first| first != "help" && !first.as_encoded_bytes().starts_with(b"-"))
}
