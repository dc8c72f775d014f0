//! Go's `fmt`: `Sprintf`, `Sprint` and `Sprintln` over the values of templates.

use super::format::VerbFlags;
use super::number::FloatForm;
use super::verb::VerbReader;
use crate::helm::context::{RenderContext, STRING_LIMIT};
use crate::helm::error::Error;
use crate::helm::value::{DEPTH, GoKind, GoObject, List, Map, Value, too_deep};

/// `fmt.Sprintf`.
pub fn sprintf(
    context: &mut RenderContext<'_>,
    format: &[u8],
    arguments: &[Value],
) -> Result<Vec<u8>, Error> {
    let mut printer = Printer::new(context);
    printer.print_formatted(format, arguments)?;
    Ok(printer.out)
}

/// `fmt.Sprint`: the operands, with a space between two operands neither of which is a string.
pub fn sprint(context: &mut RenderContext<'_>, arguments: &[Value]) -> Result<Vec<u8>, Error> {
    let mut printer = Printer::new(context);
    let mut after_string = true;
    for argument in arguments {
        let is_string = argument.kind() == GoKind::String;
        if !is_string && !after_string {
            printer.out.push(b' ');
        }
        printer.print_argument(argument, 'v')?;
        // There is no space before the first operand either.
        after_string = is_string;
    }
    Ok(printer.out)
}

/// `fmt.Sprintln`.
pub fn sprintln(context: &mut RenderContext<'_>, arguments: &[Value]) -> Result<Vec<u8>, Error> {
    let mut printer = Printer::new(context);
    for (index, argument) in arguments.iter().enumerate() {
        if index > 0 {
            printer.out.push(b' ');
        }
        printer.print_argument(argument, 'v')?;
    }
    printer.out.push(b'\n');
    Ok(printer.out)
}

/// A value as `%v` prints it.
pub fn display(context: &mut RenderContext<'_>, value: &Value) -> Result<Vec<u8>, Error> {
    sprint(context, std::slice::from_ref(value))
}

/// The address of a pointer, which differs in every run of Go.
const ADDRESS: u64 = 0xc0_0000_0000;

struct Printer<'c, 'i> {
    context: &'c mut RenderContext<'i>,
    out: Vec<u8>,
    flags: VerbFlags,
    /// Whether an unsuitable verb is being printed: then no methods are called.
    erroring: bool,
    /// The number of bytes for which room was reserved.
    granted: usize,
}

impl<'c, 'i> Printer<'c, 'i> {
    fn new(context: &'c mut RenderContext<'i>) -> Self {
        Self { context, out: Vec::new(), flags: VerbFlags::default(), erroring: false, granted: 0 }
    }

    /// Reserves room before an operand of this size is printed.
    fn ask(&mut self, operand: usize) -> Result<(), Error> {
        self.context.spend(1)?;
        let needed = self.out.len().saturating_add(self.flags.bound(operand));
        if needed > self.granted {
            // Room is reserved for twice the output, so that it is reserved seldom.
            let room = (self.out.len() * 2).min(STRING_LIMIT).max(needed);
            self.context.room(room)?;
            self.granted = room;
        }
        Ok(())
    }

    fn push(&mut self, text: &str) {
        self.out.extend_from_slice(text.as_bytes());
    }

    fn push_char(&mut self, c: char) {
        let mut buffer = [0; 4];
        self.out.extend_from_slice(c.encode_utf8(&mut buffer).as_bytes());
    }

    fn bad_verb(&mut self, verb: char, value: &Value, is_argument: bool) -> Result<(), Error> {
        let before = std::mem::replace(&mut self.erroring, true);
        self.push("%!");
        self.push_char(verb);
        self.push("(");
        match value {
            Value::Nil => self.push("<nil>"),
            value => {
                self.push(value.type_name());
                self.push("=");
                if is_argument {
                    self.print_argument(value, 'v')?;
                } else {
                    self.print_value(value, 'v', 0, false)?;
                }
            }
        }
        self.push(")");
        self.erroring = before;
        Ok(())
    }

    fn print_argument(&mut self, value: &Value, verb: char) -> Result<(), Error> {
        self.ask(value.len().filter(|_| value.kind() == GoKind::String).unwrap_or_default())?;
        match (verb, value) {
            ('T' | 'v', Value::Nil) => self.flags.pad(&mut self.out, b"<nil>"),
            (_, Value::Nil) => return self.bad_verb(verb, value, true),
            ('T', _) => self.flags.string(&mut self.out, value.type_name().as_bytes()),
            ('p', _) => return self.pointer(value, 'p', true),
            (_, Value::Object(object)) if self.by_method(object.as_ref(), verb)? => {}
            _ => return self.print_value(value, verb, 0, true),
        }
        Ok(())
    }

    /// Prints the result of a value's own method; `false` if it has none.
    fn by_method(&mut self, object: &dyn GoObject, verb: char) -> Result<bool, Error> {
        if self.erroring {
            return Ok(false);
        }
        let text = match verb {
            _ if self.flags.sharp_v => match object.go_text() {
                Some(text) => {
                    self.ask(text.len())?;
                    self.flags.string(&mut self.out, &text);
                    return Ok(true);
                }
                None => return Ok(false),
            },
            'v' | 's' | 'x' | 'X' | 'q' => object.text(),
            _ => None,
        };
        let Some(text) = text else { return Ok(false) };
        self.ask(text.len())?;
        self.print_string(&text, verb);
        Ok(true)
    }

    fn print_value(
        &mut self,
        value: &Value,
        verb: char,
        depth: usize,
        is_argument: bool,
    ) -> Result<(), Error> {
        if depth > DEPTH {
            return Err(too_deep());
        }
        self.ask(value.len().filter(|_| value.kind() == GoKind::String).unwrap_or_default())?;
        match value {
            Value::Nil => self.push(if self.flags.sharp_v { "interface {}(nil)" } else { "<nil>" }),
            Value::Bool(value) if matches!(verb, 't' | 'v') => self.flags.boolean(&mut self.out, *value),
            Value::Int(number) | Value::Int64(number) if fits_integer(verb) => {
                self.print_integer(number.cast_unsigned(), true, verb);
            }
            Value::Uint8(number) if fits_integer(verb) => self.print_integer(u64::from(*number), false, verb),
            Value::Uint64(number) if fits_integer(verb) => self.print_integer(*number, false, verb),
            Value::Float(number) if fits_float(verb) => self.print_float(*number, verb),
            Value::Complex(parts) if fits_float(verb) => {
                let plus = self.flags.plus;
                self.push("(");
                self.print_float(parts.0, verb);
                self.flags.plus = true;
                self.print_float(parts.1, verb);
                self.push("i)");
                self.flags.plus = plus;
            }
            Value::Str(text) if fits_string(verb) => self.print_string(text, verb),
            Value::Bytes(bytes) => return self.print_bytes(bytes, verb, depth, is_argument),
            Value::List(list) => return self.print_list(list, verb, depth),
            Value::Map(map) => return self.print_map(map, verb, depth),
            Value::Object(object) => {
                return self.print_object(value, object.as_ref(), verb, depth, is_argument);
            }
            _ => return self.bad_verb(verb, value, is_argument),
        }
        Ok(())
    }

    /// Prints an inner value of a slice, a map or a field.
    fn print_inner(&mut self, value: &Value, verb: char, depth: usize) -> Result<(), Error> {
        if let Value::Object(object) = value
            && self.by_method(object.as_ref(), verb)?
        {
            return Ok(());
        }
        self.print_value(value, verb, depth, false)
    }

    fn print_integer(&mut self, bits: u64, signed: bool, verb: char) {
        let out = &mut self.out;
        match verb {
            'v' if self.flags.sharp_v && !signed => {
                VerbFlags { sharp: true, ..self.flags }.integer(out, bits, 16, false, 'v');
            }
            'v' | 'd' => self.flags.integer(out, bits, 10, signed, verb),
            'b' => self.flags.integer(out, bits, 2, signed, verb),
            'o' | 'O' => self.flags.integer(out, bits, 8, signed, verb),
            'x' | 'X' => self.flags.integer(out, bits, 16, signed, verb),
            'c' => self.flags.character(out, bits),
            'q' => self.flags.quoted_character(out, bits),
            _ => self.flags.unicode(out, bits),
        }
    }

    fn print_float(&mut self, value: f64, verb: char) {
        let (form, precision) = match verb {
            'b' => (FloatForm::Binary, None),
            'x' | 'X' => (FloatForm::Hex, None),
            'e' | 'E' => (FloatForm::Exponent, Some(6)),
            'f' | 'F' => (FloatForm::Fixed, Some(6)),
            _ => (FloatForm::General, None),
        };
        self.flags.float(&mut self.out, value, form, precision, matches!(verb, 'E' | 'G' | 'X'));
    }

    fn print_string(&mut self, text: &[u8], verb: char) {
        let out = &mut self.out;
        match verb {
            'v' if self.flags.sharp_v => self.flags.quoted(out, text),
            'q' => self.flags.quoted(out, text),
            'x' | 'X' => self.flags.bytes_in_hex(out, text, verb == 'X'),
            _ => self.flags.string(out, text),
        }
    }

    fn print_bytes(
        &mut self,
        bytes: &[u8],
        verb: char,
        depth: usize,
        is_argument: bool,
    ) -> Result<(), Error> {
        self.ask(bytes.len())?;
        match verb {
            's' | 'q' | 'x' | 'X' => self.print_string(bytes, verb),
            'v' | 'd' if is_argument && !self.flags.sharp_v => {
                self.push("[");
                for (index, byte) in bytes.iter().enumerate() {
                    if index > 0 {
                        self.out.push(b' ');
                    }
                    self.ask(0)?;
                    self.flags.integer(&mut self.out, u64::from(*byte), 10, false, verb);
                }
                self.push("]");
            }
            _ => {
                let items: Vec<Value> = bytes.iter().map(|byte| Value::Uint8(*byte)).collect();
                let name = if is_argument { "[]byte" } else { "[]uint8" };
                return self.print_items(name, &items, verb, depth);
            }
        }
        Ok(())
    }

    fn print_items(&mut self, name: &str, items: &[Value], verb: char, depth: usize) -> Result<(), Error> {
        let sharp = self.flags.sharp_v;
        if sharp {
            self.push(name);
        }
        self.push(if sharp { "{" } else { "[" });
        for (index, item) in items.iter().enumerate() {
            if index > 0 {
                self.push(if sharp { ", " } else { " " });
            }
            self.print_inner(item, verb, depth + 1)?;
        }
        self.push(if sharp { "}" } else { "]" });
        Ok(())
    }

    fn print_list(&mut self, list: &List, verb: char, depth: usize) -> Result<(), Error> {
        if self.flags.sharp_v && list.is_nil() {
            self.push(list.of().name());
            self.push("(nil)");
            return Ok(());
        }
        self.print_items(list.of().name(), list.items(), verb, depth)
    }

    fn print_map(&mut self, map: &Map, verb: char, depth: usize) -> Result<(), Error> {
        let sharp = self.flags.sharp_v;
        if sharp {
            self.push(map.of().name());
            if map.is_nil() {
                self.push("(nil)");
                return Ok(());
            }
        }
        self.push(if sharp { "{" } else { "map[" });
        for (index, (key, value)) in map.entries().into_iter().enumerate() {
            if index > 0 {
                self.push(if sharp { ", " } else { " " });
            }
            self.print_value(&Value::Str(key), verb, depth + 1, false)?;
            self.push(":");
            self.print_inner(&value, verb, depth + 1)?;
        }
        self.push(if sharp { "}" } else { "]" });
        Ok(())
    }

    fn print_object(
        &mut self,
        value: &Value,
        object: &dyn GoObject,
        verb: char,
        depth: usize,
        is_argument: bool,
    ) -> Result<(), Error> {
        if let Some(number) = object.number() {
            if fits_integer(verb) {
                self.print_integer(number.cast_unsigned(), true, verb);
                return Ok(());
            }
            return self.bad_verb(verb, value, is_argument);
        }
        let is_pointer = object.kind() == GoKind::Ptr;
        if is_pointer && depth > 0 {
            return self.pointer(value, verb, is_argument);
        }
        if is_pointer {
            self.push("&");
        }
        let (sharp, named) = (self.flags.sharp_v, self.flags.sharp_v || self.flags.plus_v);
        if sharp {
            self.push(object.type_name().trim_start_matches('*'));
        }
        self.push("{");
        for (index, (name, field)) in object.shown().into_iter().enumerate() {
            if index > 0 {
                self.push(if sharp { ", " } else { " " });
            }
            if named {
                self.push(name);
                self.push(":");
            }
            let depth = depth + 1 + usize::from(is_pointer);
            // Methods of unexported fields cannot be called.
            if name.starts_with(|c: char| c.is_ascii_uppercase()) {
                self.print_inner(&field, verb, depth)?;
            } else {
                self.print_value(&field, verb, depth, false)?;
            }
        }
        self.push("}");
        Ok(())
    }

    fn pointer(&mut self, value: &Value, verb: char, is_argument: bool) -> Result<(), Error> {
        if !matches!(value.kind(), GoKind::Ptr | GoKind::Map | GoKind::Slice) {
            return self.bad_verb(verb, value, is_argument);
        }
        let hex = |sharp| VerbFlags { sharp, ..self.flags };
        match verb {
            'v' if self.flags.sharp_v => {
                let text = format!("({})(", value.type_name());
                self.push(&text);
                VerbFlags { sharp: true, ..self.flags }.integer(&mut self.out, ADDRESS, 16, false, 'v');
                self.push(")");
            }
            'v' | 'p' => hex(!self.flags.sharp).integer(&mut self.out, ADDRESS, 16, false, 'v'),
            'b' | 'o' | 'd' | 'x' | 'X' => self.print_integer(ADDRESS, false, verb),
            _ => return self.bad_verb(verb, value, is_argument),
        }
        Ok(())
    }

    fn print_formatted(&mut self, format: &[u8], arguments: &[Value]) -> Result<(), Error> {
        let mut reader = VerbReader::new(format, arguments.len());
        while let Some(literal) = reader.literal() {
            self.ask(literal.len())?;
            self.out.extend_from_slice(&format[literal]);
            if reader.at >= format.len() {
                break;
            }
            reader.at += 1;
            self.flags = VerbFlags::default();
            let read = reader.verb(&mut self.flags, arguments);
            for mistake in std::mem::take(&mut reader.mistakes) {
                self.push(mistake);
            }
            let Some(verb) = read else {
                self.push("%!(NOVERB)");
                break;
            };
            self.ask(0)?;
            let argument = arguments.get(reader.next);
            match (verb, argument) {
                ('%', _) => self.push("%"),
                _ if !reader.fits => self.bad_index(verb, "(BADINDEX)"),
                (_, None) => self.bad_index(verb, "(MISSING)"),
                ('w', Some(argument)) => {
                    self.go_syntax();
                    // This verb fits only errors, and no value of a template is one. Nil and simple types
                    // find that out themselves.
                    self.print_wrapped(argument)?;
                    reader.next += 1;
                }
                (_, Some(argument)) => {
                    if verb == 'v' {
                        self.go_syntax();
                    }
                    self.print_argument(argument, verb)?;
                    reader.next += 1;
                }
            }
        }
        if !reader.reordered && reader.next < arguments.len() {
            self.print_extra(&arguments[reader.next..])?;
        }
        Ok(())
    }

    fn print_wrapped(&mut self, argument: &Value) -> Result<(), Error> {
        self.bad_verb('w', argument, true)
    }

    fn bad_index(&mut self, verb: char, what: &str) {
        self.push("%!");
        self.push_char(verb);
        self.push(what);
    }

    fn go_syntax(&mut self) {
        self.flags.sharp_v = std::mem::take(&mut self.flags.sharp);
        self.flags.plus_v = std::mem::take(&mut self.flags.plus);
    }

    fn print_extra(&mut self, arguments: &[Value]) -> Result<(), Error> {
        self.flags = VerbFlags::default();
        self.push("%!(EXTRA ");
        for (index, argument) in arguments.iter().enumerate() {
            if index > 0 {
                self.push(", ");
            }
            if !argument.is_nil() {
                self.push(argument.type_name());
                self.push("=");
            }
            self.print_argument(argument, 'v')?;
        }
        self.push(")");
        Ok(())
    }
}

fn fits_integer(verb: char) -> bool {
    matches!(verb, 'v' | 'd' | 'b' | 'o' | 'O' | 'x' | 'X' | 'c' | 'q' | 'U')
}

fn fits_float(verb: char) -> bool {
    matches!(verb, 'v' | 'b' | 'g' | 'G' | 'x' | 'X' | 'f' | 'F' | 'e' | 'E')
}

fn fits_string(verb: char) -> bool {
    matches!(verb, 'v' | 's' | 'x' | 'X' | 'q')
}
