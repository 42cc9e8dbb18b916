//! `lodestone cache`: what lies in the user's cache folder, and how it is kept within bounds.
//!
//! Other programs and the user may have put things there too. What lodestone wrote is known by its name: 32 hexadecimal digits with
//! an ending of ours, in its own place. Nothing else is counted, and nothing else ever removed.

use std::io;
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use anyhow::{Context, Result};
use clap::ValueEnum;
use lodestone_eval::Bytes;
use serde::Serialize;
use serde_json::json;

use crate::args::{CacheArguments, Cleared};
use crate::commands::user_cache;
use crate::progress::Progress;
use crate::resources::{now, utc};

/// The variable that says how large the cache may become.
const LIMIT: &str = "LODESTONE_CACHE_LIMIT";
/// What it may become where nothing is said.
const USUAL: Bytes = Bytes(10_000_000_000);
/// Seconds after which a half-written file belongs to no running process.
const ABANDONED: u64 = 3600;

/// What a file of the cache is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Kind {
    /// Outputs of frozen stages, for `train`
    Maps,
    /// Embeddings of photographs, for every command that embeds
    Embeddings,
    /// Names of the files below a folder
    Listings,
    /// What a process that was killed had begun to write
    Unfinished,
}

/// A file of the cache.
#[derive(Debug, PartialEq, Eq)]
struct Cached {
    kind: Kind,
    path: PathBuf,
    bytes: u64,
    /// When it was last used, in seconds since 1970.
    used: u64,
}

/// Runs the command.
pub(crate) fn run(arguments: &CacheArguments) -> Result<()> {
    let folder = user_cache().context(
        "there is no cache: neither XDG_CACHE_HOME nor HOME says where the caches of this user lie",
    )?;
    let limit = limit()?;
    let contents = contents(&folder, now());
    if let Some(cleared) = arguments.clear {
        let goes = contents.iter().filter(|file| match cleared {
            Cleared::All => true,
            Cleared::Maps => file.kind == Kind::Maps,
            Cleared::Embeddings => file.kind == Kind::Embeddings,
            Cleared::Listings => file.kind == Kind::Listings,
        });
        let (files, bytes) = remove(&folder, goes)?;
        outln!("{}: {} removed, {bytes}", folder.display(), counted(files))?;
        return Ok(());
    }
    let kinds: Vec<Of> = Kind::value_variants()
        .iter()
        .map(|&kind| Of::new(kind, &contents))
        .collect();
    let bytes = Bytes(contents.iter().map(|file| file.bytes).sum());
    if arguments.json {
        let all = json!({ "folder": folder, "bytes": bytes, "limit": limit, "kinds": kinds });
        outln!("{}", serde_json::to_string_pretty(&all)?)?;
        return Ok(());
    }
    outln!("{}", folder.display())?;
    for of in &kinds {
        outln!("{}", of.line())?;
    }
    outln!(
        "{bytes} of at most {limit}, beyond which what was not used for the longest time goes; {LIMIT}=50GB allows more, \
         `lodestone cache --clear` empties it"
    )?;
    Ok(())
}

/// All files of a kind.
#[derive(Serialize)]
struct Of {
    kind: Kind,
    files: usize,
    bytes: Bytes,
    /// Seconds since 1970.
    last_used: Option<u64>,
}

impl Of {
    fn new(kind: Kind, contents: &[Cached]) -> Self {
        let of_kind = || contents.iter().filter(|file| file.kind == kind);
        Self {
            kind,
            files: of_kind().count(),
            bytes: Bytes(of_kind().map(|file| file.bytes).sum()),
            last_used: of_kind().map(|file| file.used).max(),
        }
    }

    fn line(&self) -> String {
        let value = self.kind.to_possible_value();
        let (name, help) = value.as_ref().map_or(("", String::new()), |value| {
            let help = value.get_help().map(ToString::to_string);
            (value.get_name(), help.unwrap_or_default())
        });
        let used = self.last_used.map_or_else(|| "-".to_owned(), utc);
        format!(
            "{name:<11}{:>7} files{:>12}  last used {used:<23}  {help}",
            self.files,
            self.bytes.to_string()
        )
    }
}

/// What `LODESTONE_CACHE_LIMIT` says, or the usual.
///
/// # Errors
/// If that is no size.
pub(crate) fn limit() -> Result<Bytes> {
    match std::env::var(LIMIT) {
        Ok(text) => text.parse().with_context(|| {
            format!("{LIMIT} is {text:?}, must be a size such as 10GB, or 0 to keep nothing")
        }),
        Err(std::env::VarError::NotPresent) => Ok(USUAL),
        Err(error) => Err(error).context(LIMIT),
    }
}

/// Removes what was not used for the longest time until the cache has at most `limit` bytes. To be called when a command has
/// written and read what it needs; another process keeps what it has open.
pub(crate) fn keep_within(limit: Bytes, progress: &Progress) {
    let Some(folder) = user_cache() else { return };
    let contents = contents(&folder, now());
    let goes = too_many(&contents, limit);
    let newest = goes.last().map(|file| file.used);
    // What cannot be removed is tried again by the next command.
    if let (Some(newest), Ok((files, bytes))) = (newest, remove(&folder, goes.iter().copied())) {
        progress.note(&format!(
            "cache: {}, not used since {}, removed, {bytes}: it keeps at most {limit} ({LIMIT})",
            counted(files),
            utc(newest)
        ));
    }
}

/// The files that must go, oldest first.
fn too_many(contents: &[Cached], limit: Bytes) -> Vec<&Cached> {
    let mut oldest: Vec<&Cached> = contents.iter().collect();
    oldest.sort_by_key(|file| (file.used, &file.path));
    let mut bytes: u64 = contents.iter().map(|file| file.bytes).sum();
    let over = oldest.into_iter().take_while(|file| {
        let over = bytes > limit.0;
        bytes = bytes.saturating_sub(file.bytes);
        over
    });
    over.collect()
}

/// Removes files, and the folders of embeddings that this leaves empty; says how many there were, and their size.
fn remove<'a>(folder: &Path, files: impl Iterator<Item = &'a Cached>) -> Result<(usize, Bytes)> {
    let (mut removed, mut bytes) = (0, 0);
    for file in files {
        match std::fs::remove_file(&file.path) {
            Ok(()) => {
                removed += 1;
                bytes += file.bytes;
            }
            // Another process was faster.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => {
                return Err(error)
                    .with_context(|| format!("cannot remove {}", file.path.display()));
            }
        }
        if let Some(parent) = file.path.parent().filter(|parent| *parent != folder) {
            // It fails where something is left.
            let _ = std::fs::remove_dir(parent);
        }
    }
    Ok((removed, Bytes(bytes)))
}

/// What lodestone wrote into the folder.
fn contents(folder: &Path, now: u64) -> Vec<Cached> {
    let mut found = Vec::new();
    let mut add = |folder: &Path, kind: Kind, ending: &str| {
        for path in entries(folder) {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            let kind = match name.strip_suffix(ending) {
                Some(name) if is_sum(name) => kind,
                _ if is_unfinished(&name) => Kind::Unfinished,
                _ => continue,
            };
            // A link is none of ours.
            let Ok(file) = std::fs::symlink_metadata(&path) else {
                continue;
            };
            let used = file.modified().ok();
            let used = used.and_then(|time| time.duration_since(UNIX_EPOCH).ok());
            let used = used.map_or(0, |time| time.as_secs());
            if !file.is_file() || kind == Kind::Unfinished && used + ABANDONED > now {
                continue;
            }
            found.push(Cached {
                kind,
                bytes: file.len(),
                path,
                used,
            });
        }
    };
    add(folder, Kind::Maps, ".maps");
    add(&folder.join("listings"), Kind::Listings, ".listing");
    for of_model in entries(&folder.join("embeddings")) {
        if is_sum(&of_model.file_name().unwrap_or_default().to_string_lossy()) {
            add(&of_model, Kind::Embeddings, ".embeddings");
        }
    }
    found
}

/// What stands in a folder, in the order of the names; nothing where there is none.
fn entries(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.path()).collect();
    paths.sort();
    paths
}

/// Half a SHA-256, as all names are.
fn is_sum(name: &str) -> bool {
    let digit = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
    name.len() == 32 && name.bytes().all(digit)
}

/// What [`write_whole`](lodestone_files::write_whole) writes to before it renames.
fn is_unfinished(name: &str) -> bool {
    name.starts_with(".lodestone-") && name.ends_with(".tmp")
}

fn counted(files: usize) -> String {
    match files {
        1 => "1 file".to_owned(),
        files => format!("{files} files"),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use lodestone_files::write_whole;

    use super::*;

    /// A file of some bytes that was last used so many seconds after 1970.
    fn put(folder: &Path, name: &str, bytes: usize, used: u64) -> PathBuf {
        let path = folder.join(name);
        write_whole(&path, |file| file.write_all(&vec![0; bytes])).unwrap();
        let file = std::fs::File::options().append(true).open(&path).unwrap();
        file.set_modified(UNIX_EPOCH + Duration::from_secs(used))
            .unwrap();
        path
    }

    /// 32 digits.
    fn sum(digit: char) -> String {
        digit.to_string().repeat(32)
    }

    #[test]
    fn only_what_lodestone_wrote_is_found_and_the_oldest_goes_first() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path();
        let maps = put(folder, &format!("{}.maps", sum('a')), 100, 50);
        let listing = put(folder, &format!("listings/{}.listing", sum('b')), 10, 70);
        let of_model = format!("embeddings/{}", sum('c'));
        let embeddings = put(
            folder,
            &format!("{of_model}/{}.embeddings", sum('d')),
            40,
            60,
        );
        let begun = put(folder, &format!("{of_model}/.lodestone-x.tmp"), 5, 40);
        // Of others, at work, or elsewhere.
        let foreign = [
            put(folder, "target/notes.maps", 7, 1),
            put(folder, "thesis.maps", 7, 1),
            put(folder, &format!("{}.txt", sum('a')), 7, 1),
            put(folder, &format!("{}.listing", sum('a')), 7, 1),
            put(folder, &format!("{}.maps", "A".repeat(32)), 7, 1),
            put(
                folder,
                &format!("embeddings/mine/{}.embeddings", sum('d')),
                7,
                1,
            ),
            put(folder, ".lodestone-y.tmp", 7, 5000),
        ];
        let found = contents(folder, 5001);
        let paths: Vec<&PathBuf> = found.iter().map(|file| &file.path).collect();
        assert_eq!(paths, [&maps, &listing, &begun, &embeddings]);
        let of = Of::new(Kind::Embeddings, &found);
        assert_eq!((of.files, of.bytes, of.last_used), (1, Bytes(40), Some(60)));

        // 155 bytes: begun, then the maps, leave 50.
        let goes = |limit: u64| -> Vec<&PathBuf> {
            let goes = too_many(&found, Bytes(limit));
            goes.iter().map(|file| &file.path).collect()
        };
        assert_eq!(goes(155), [&begun; 0]);
        assert_eq!(goes(154), [&begun]);
        assert_eq!(goes(149), [&begun, &maps]);
        assert_eq!(goes(49), [&begun, &maps, &embeddings]);
        assert_eq!(goes(0).len(), 4);

        let removed = remove(folder, too_many(&found, Bytes(49)).into_iter()).unwrap();
        assert_eq!(removed, (3, Bytes(145)));
        assert!(listing.exists() && !folder.join(of_model).exists());
        // Again: nobody minds what is gone.
        assert_eq!(remove(folder, found.iter()).unwrap(), (1, Bytes(10)));
        assert!(foreign.iter().all(|path| path.exists()));
        assert!(contents(folder, 5001).is_empty());
    }
}
