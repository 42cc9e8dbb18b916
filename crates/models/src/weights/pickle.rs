//! Which Python names a pickle asks for, wherever in it they stand.
//!
//! A pickle can call a function and throw the answer away, or hide it where no reader looks. Nothing of it is ever run here,
//! but a file that tries is no weight file. So its instructions are walked once, without executing them, and each name that
//! they import is held against the few that rebuild tensors.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::Path;

use zip::ZipArchive;

/// Largest pickle that is walked; that of a network of a thousand tensors has a tenth of a megabyte.
const LARGEST: u64 = 100 << 20;

/// The first Python name in a `.pth` file that no tensor needs.
///
/// # Errors
/// If the file cannot be read, or its instructions are none of pickle's.
pub(super) fn foreign_name(path: &Path) -> io::Result<Option<String>> {
    let mut file = BufReader::new(File::open(path)?);
    let mut bytes = Vec::new();
    (&mut file).take(LARGEST).read_to_end(&mut bytes)?;
    if bytes.starts_with(b"PK") {
        return in_archive(ZipArchive::new(file).map_err(io::Error::other)?);
    }
    // torch's old format: magic number, protocol, system, the dictionary, names of storages, then the values.
    let head = &bytes[..bytes.len().min(64)];
    let legacy = LEGACY.iter().any(|magic| {
        let mut places = head.windows(magic.len());
        places.any(|place| place == *magic)
    });
    let mut rest = bytes.as_slice();
    for _ in 0..if legacy { 5 } else { 1 } {
        if let Some(found) = walk(&mut rest)?.into_iter().find(|name| is_foreign(name)) {
            return Ok(Some(found));
        }
    }
    Ok(None)
}

/// The number that torch's old format begins with, in bytes and in the digits of protocols 0 and 1.
const LEGACY: [&[u8]; 2] = [
    b"\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19",
    b"119547037146038801333356",
];

fn in_archive(mut archive: ZipArchive<BufReader<File>>) -> io::Result<Option<String>> {
    let names: Vec<String> = archive
        .file_names()
        .filter_map(|name| Some(name.ok()?.into_owned()))
        .filter(|name| name == "data.pkl" || name.ends_with("/data.pkl"))
        .collect();
    for name in names {
        let entry = archive.by_name(&name).map_err(io::Error::other)?;
        let mut bytes = Vec::new();
        entry.take(LARGEST).read_to_end(&mut bytes)?;
        let found = walk(&mut bytes.as_slice())?
            .into_iter()
            .find(|name| is_foreign(name));
        if found.is_some() {
            return Ok(found);
        }
    }
    Ok(None)
}

/// Names that rebuild tensors and the dictionaries they lie in.
fn is_foreign(name: &str) -> bool {
    let known = [
        "collections.OrderedDict",
        "torch.Size",
        "torch.Tensor",
        "torch._tensor._rebuild_from_type_v2",
        "torch._utils._rebuild_parameter",
        "torch._utils._rebuild_parameter_with_state",
        "torch._utils._rebuild_tensor",
        "torch._utils._rebuild_tensor_v2",
        "torch._utils._rebuild_tensor_v3",
        "torch.nn.parameter.Parameter",
    ];
    let storage = |rest: &str| rest.ends_with("Storage") || TYPES.contains(&rest);
    let torch = name
        .strip_prefix("torch.storage.")
        .or(name.strip_prefix("torch."));
    !known.contains(&name) && !torch.is_some_and(|rest| !rest.contains('.') && storage(rest))
}

/// Element types that torch writes as names beside untyped storages.
const TYPES: [&str; 13] = [
    "bfloat16", "bool", "float16", "float32", "float64", "int16", "int32", "int64", "int8",
    "uint16", "uint32", "uint64", "uint8",
];

/// Every name that one pickle imports, as `module.name`. `bytes` then begins behind the pickle.
fn walk(bytes: &mut &[u8]) -> io::Result<Vec<String>> {
    let mut names = Vec::new();
    // Strings as they were pushed, for the instruction that takes module and name from the stack, and those remembered.
    let mut pushed: Vec<Option<String>> = Vec::new();
    let mut memo: BTreeMap<u64, Option<String>> = BTreeMap::new();
    loop {
        let [op] = array(bytes)?;
        match op {
            b'.' => return Ok(names),
            // Instructions without an operand.
            b'('
            | b'0'
            | b'1'
            | b'2'
            | b'N'
            | b'R'
            | b'b'
            | b'd'
            | b'l'
            | b't'
            | b's'
            | b'a'
            | b')'
            | b']'
            | b'}'
            | b'e'
            | b'u'
            | b'Q'
            | 0x81
            | 0x85..=0x89
            | 0x8f..=0x92
            | 0x97
            | 0x98 => {}
            // Numbers.
            0x80 | b'K' => skip(bytes, 1)?,
            b'M' => skip(bytes, 2)?,
            b'J' => skip(bytes, 4)?,
            b'G' | 0x95 => skip(bytes, 8)?,
            b'I' | b'L' | b'F' | b'P' => drop(line(bytes)?),
            0x8a => skip_counted(bytes, 1)?,
            0x8b => skip_counted(bytes, 4)?,
            // Bytes.
            b'U' | b'C' => skip_counted(bytes, 1)?,
            b'T' | b'B' => skip_counted(bytes, 4)?,
            0x8e | 0x96 => skip_counted(bytes, 8)?,
            // Text.
            0x8c => pushed.push(Some(text(bytes, 1)?)),
            b'X' => pushed.push(Some(text(bytes, 4)?)),
            0x8d => pushed.push(Some(text(bytes, 8)?)),
            b'V' => pushed.push(Some(line(bytes)?)),
            // Memory: what was pushed last under a number, and back.
            b'q' => remember(&mut memo, number(bytes, 1)?, &pushed),
            b'r' => remember(&mut memo, number(bytes, 4)?, &pushed),
            b'p' => {
                let place = line(bytes)?.parse().map_err(|_| wrong(op))?;
                remember(&mut memo, place, &pushed);
            }
            0x94 => {
                let place = memo.len() as u64;
                remember(&mut memo, place, &pushed);
            }
            b'h' => pushed.push(memo.get(&number(bytes, 1)?).cloned().flatten()),
            b'j' => pushed.push(memo.get(&number(bytes, 4)?).cloned().flatten()),
            b'g' => {
                let place = line(bytes)?.parse().map_err(|_| wrong(op))?;
                pushed.push(memo.get(&place).cloned().flatten());
            }
            // Imports.
            b'c' | b'i' => names.push(format!("{}.{}", line(bytes)?, line(bytes)?)),
            0x93 => {
                let mut take = || pushed.pop().flatten().unwrap_or("?".to_owned());
                let name = take();
                names.push(format!("{}.{name}", take()));
            }
            0x82 => names.push(format!("extension.{}", number(bytes, 1)?)),
            0x83 => names.push(format!("extension.{}", number(bytes, 2)?)),
            0x84 => names.push(format!("extension.{}", number(bytes, 4)?)),
            other => return Err(wrong(other)),
        }
    }
}

fn remember(memo: &mut BTreeMap<u64, Option<String>>, place: u64, pushed: &[Option<String>]) {
    memo.insert(place, pushed.last().cloned().flatten());
}

fn wrong(op: u8) -> io::Error {
    let message = format!("0x{op:02x} is no instruction of a pickle");
    io::Error::new(io::ErrorKind::InvalidData, message)
}

fn array<const N: usize>(bytes: &mut &[u8]) -> io::Result<[u8; N]> {
    let mut array = [0; N];
    bytes.read_exact(&mut array)?;
    Ok(array)
}

/// A little-endian number of so many bytes, at most eight.
fn number(bytes: &mut &[u8], width: usize) -> io::Result<u64> {
    let mut array = [0; 8];
    bytes.read_exact(&mut array[..width])?;
    Ok(u64::from_le_bytes(array))
}

fn skip(bytes: &mut &[u8], count: u64) -> io::Result<()> {
    take(bytes, count).map(drop)
}

/// Skips what a count of so many bytes announces.
fn skip_counted(bytes: &mut &[u8], width: usize) -> io::Result<()> {
    let count = number(bytes, width)?;
    skip(bytes, count)
}

fn text(bytes: &mut &[u8], width: usize) -> io::Result<String> {
    let count = number(bytes, width)?;
    Ok(String::from_utf8_lossy(take(bytes, count)?).into_owned())
}

fn line(bytes: &mut &[u8]) -> io::Result<String> {
    let end = bytes.iter().position(|&byte| byte == b'\n');
    let end = end.ok_or(io::ErrorKind::UnexpectedEof)?;
    let text = String::from_utf8_lossy(&bytes[..end]).into_owned();
    *bytes = &bytes[end + 1..];
    Ok(text.trim_end_matches('\r').to_owned())
}

fn take<'a>(bytes: &mut &'a [u8], count: u64) -> io::Result<&'a [u8]> {
    let count = usize::try_from(count).unwrap_or(usize::MAX);
    let taken = bytes.split_off(..count);
    taken.ok_or_else(|| io::ErrorKind::UnexpectedEof.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_found_wherever_they_stand() {
        let cases: [(&[u8], &[&str]); 6] = [
            // {}
            (b"\x80\x02}.", &[]),
            // os.system("x") thrown away, then {}
            (
                b"\x80\x02cposix\nsystem\nX\x01\x00\x00\x00x\x85R0}.",
                &["posix.system"],
            ),
            // Protocol 4 takes module and name from the stack.
            (
                b"\x80\x04\x8c\x05posix\x94\x8c\x06system\x94\x93\x8c\x01x\x85R.",
                &["posix.system"],
            ),
            // The module comes from the memory.
            (
                b"\x80\x04\x8c\x05posix\x940h\x00\x8c\x06system\x93.",
                &["posix.system"],
            ),
            (b"(iposix\nsystem\n.", &["posix.system"]),
            (
                b"ccollections\nOrderedDict\n)R.",
                &["collections.OrderedDict"],
            ),
        ];
        for (bytes, names) in cases {
            let found = walk(&mut { bytes }).unwrap();
            assert_eq!(found, names, "{}", bytes.escape_ascii());
        }
    }

    #[test]
    fn only_what_rebuilds_tensors_is_known() {
        for name in [
            "collections.OrderedDict",
            "torch._utils._rebuild_tensor_v2",
            "torch.FloatStorage",
            "torch.storage.UntypedStorage",
            "torch.bfloat16",
        ] {
            assert!(!is_foreign(name), "{name}");
        }
        for name in [
            "posix.system",
            "builtins.eval",
            "torch.load",
            "torch.hub.load",
            "torch.x.HalfStorage",
        ] {
            assert!(is_foreign(name), "{name}");
        }
    }

    #[test]
    fn a_pickle_that_ends_early_is_an_error() {
        for bytes in [
            &b"\x80\x02"[..],
            b"cposix",
            b"X\xff\xff\xff\xffx",
            b"\x8d\xff\xff\xff\xff\xff\xff\xff\xff",
            b"\xff",
        ] {
            assert!(walk(&mut { bytes }).is_err(), "{}", bytes.escape_ascii());
        }
    }
}
