//! Unpacking a tar or zip archive so that nothing it holds can leave its folder or fill the disk.
//!
//! Only files and folders are unpacked. An absolute path, `..`, or a link is an error before anything of that entry is
//! written. The kind is found by content, as some servers hand out plain tar under a `.gz` name. A tar inside the tar, as
//! ImageNet has one for each class, is unpacked into a folder of its name. Files that are there with the right size are not
//! written again, so an interrupted unpacking goes on.

use std::cmp::Ordering;
use std::io::{self, Read, Seek};
use std::path::{Component, Path, PathBuf};

use flate2::read::MultiGzDecoder;
use tar::{Archive, EntryType};
use zip::ZipArchive;

use super::{FetchError, disk, open};

/// Bounds on what one archive may unpack to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UnpackLimits {
    /// Bytes of all files together: 200 GB unless told, above ImageNet's 150.
    pub bytes: u64,
    /// Number of entries: 2 million unless told, above ImageNet's 1.3.
    pub entries: u64,
}

impl Default for UnpackLimits {
    fn default() -> Self {
        UnpackLimits {
            bytes: 200_000_000_000,
            entries: 2_000_000,
        }
    }
}

/// Unpacks `path` below `folder`; `progress` hears of every entry. AppleDouble entries (`._*`) are left out.
pub(super) fn unpack(
    path: &Path,
    folder: &Path,
    limits: UnpackLimits,
    progress: &mut dyn FnMut(u64),
) -> Result<(), FetchError> {
    // A shorter file than this is no archive of either kind.
    let mut first = [0; 4];
    let _ = open(path)?.read_exact(&mut first);
    let mut file = io::BufReader::new(open(path)?);
    let mut unpacking = Unpacking {
        path,
        limits,
        bytes: 0,
        entries: 0,
        progress,
    };
    match first {
        [0x1f, 0x8b, ..] => unpacking.tar(&mut MultiGzDecoder::new(file), folder, Inner::Unpacked),
        [b'P', b'K', ..] => unpacking.zip(file, folder),
        _ => unpacking.tar(&mut file, folder, Inner::Unpacked),
    }
}

/// What is done with a tar inside a tar.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Inner {
    Unpacked,
    /// One level is enough for every publisher, and no bomb can nest.
    Kept,
}

struct Unpacking<'a> {
    path: &'a Path,
    limits: UnpackLimits,
    /// Of all entries so far.
    bytes: u64,
    entries: u64,
    progress: &'a mut dyn FnMut(u64),
}

impl Unpacking<'_> {
    fn refuse(&self, entry: &str, problem: impl Into<String>) -> FetchError {
        FetchError::Entry {
            path: self.path.to_path_buf(),
            entry: entry.to_owned(),
            problem: problem.into(),
        }
    }

    fn tar(
        &mut self,
        content: &mut dyn Read,
        folder: &Path,
        inner: Inner,
    ) -> Result<(), FetchError> {
        let mut archive = Archive::new(content);
        let entries = archive
            .entries()
            .map_err(|error| self.refuse("", error.to_string()))?;
        for entry in entries {
            let mut entry = entry.map_err(|error| self.refuse("", error.to_string()))?;
            let name = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
            let kind = entry.header().entry_type();
            let is_nested = inner == Inner::Unpacked
                && kind != EntryType::Directory
                && Path::new(&name).extension().is_some_and(|e| e == "tar");
            // What is in it is counted entry by entry.
            let bytes = if is_nested { 0 } else { entry.size() };
            self.count(&name, bytes)?;
            match kind {
                EntryType::Regular | EntryType::Continuous | EntryType::Directory => {}
                // Comments of the archive's writer, not files.
                EntryType::XGlobalHeader => continue,
                _ => {
                    let problem = format!("{kind:?} instead of a file or a folder");
                    return Err(self.refuse(&name, problem));
                }
            }
            let Some(target) = self.target(&name, folder)? else {
                continue;
            };
            if kind == EntryType::Directory {
                std::fs::create_dir_all(&target).map_err(|source| disk(&target, source))?;
            } else if is_nested {
                self.tar(&mut entry, &target.with_extension(""), Inner::Kept)?;
            } else {
                let size = entry.size();
                write(&mut entry, size, &target)?;
            }
        }
        Ok(())
    }

    fn zip(&mut self, content: impl Read + Seek, folder: &Path) -> Result<(), FetchError> {
        let mut archive =
            ZipArchive::new(content).map_err(|error| self.refuse("", error.to_string()))?;
        for number in 0..archive.len() {
            let mut entry = archive
                .by_index(number)
                .map_err(|error| self.refuse(&format!("number {number}"), error.to_string()))?;
            let name = String::from_utf8_lossy(entry.name_raw()).into_owned();
            let size = entry.size();
            self.count(&name, size)?;
            if entry.is_symlink() {
                return Err(self.refuse(&name, "Symlink instead of a file or a folder"));
            }
            let Some(target) = self.target(&name, folder)? else {
                continue;
            };
            if entry.is_dir() {
                std::fs::create_dir_all(&target).map_err(|source| disk(&target, source))?;
            } else {
                write(&mut entry, size, &target)?;
            }
        }
        Ok(())
    }

    /// Where an entry goes; `None` for AppleDouble entries.
    fn target(&self, name: &str, folder: &Path) -> Result<Option<PathBuf>, FetchError> {
        let relative = inside(name).ok_or_else(|| self.refuse(name, "leaves the folder"))?;
        let hidden = relative
            .file_name()
            .is_some_and(|name| name.as_encoded_bytes().starts_with(b"._"));
        Ok((!hidden).then(|| folder.join(relative)))
    }

    /// Adds an entry to the sums, unless that passes a bound.
    fn count(&mut self, name: &str, bytes: u64) -> Result<(), FetchError> {
        if self.entries >= self.limits.entries {
            let problem = format!("more than {} entries", self.limits.entries);
            return Err(self.refuse(name, problem));
        }
        self.entries += 1;
        self.bytes = self.bytes.saturating_add(bytes);
        if self.bytes > self.limits.bytes {
            let problem = format!("more than {} bytes in all", self.limits.bytes);
            return Err(self.refuse(name, problem));
        }
        (self.progress)(self.entries);
        Ok(())
    }
}

fn write(content: &mut impl Read, size: u64, target: &Path) -> Result<(), FetchError> {
    let there = std::fs::symlink_metadata(target);
    if there.is_ok_and(|file| file.is_file() && file.len() == size) {
        return Ok(());
    }
    lodestone_files::write_whole(target, |file| {
        // A cut-off archive ends early without an error of its own, and a zip may hold more than it declares. The one byte
        // more lets the reader see the end, where it compares the sum.
        let copied = io::copy(&mut content.take(size.saturating_add(1)), file)?;
        match copied.cmp(&size) {
            Ordering::Equal => Ok(()),
            Ordering::Less => Err(io::ErrorKind::UnexpectedEof.into()),
            Ordering::Greater => Err(io::Error::other("longer than the archive declares")),
        }
    })
    .map_err(|error| disk(target, error.source))
}

/// The relative path of an entry, if it stays inside; `./` in front is usual and harmless.
fn inside(name: &str) -> Option<PathBuf> {
    let mut path = PathBuf::new();
    for part in Path::new(name).components() {
        match part {
            Component::Normal(part) => path.push(part),
            Component::CurDir => {}
            Component::RootDir | Component::Prefix(_) | Component::ParentDir => return None,
        }
    }
    Some(path)
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use tar::{Builder, Header};

    use super::*;

    struct Item {
        name: &'static str,
        kind: EntryType,
        content: &'static [u8],
    }

    fn item(name: &'static str, kind: EntryType, content: &'static [u8]) -> Item {
        Item {
            name,
            kind,
            content,
        }
    }

    /// A tar of these entries, with names that the builder itself would refuse.
    fn archive(items: &[Item]) -> Vec<u8> {
        let mut builder = Builder::new(Vec::new());
        for item in items {
            let mut header = Header::new_gnu();
            header.as_old_mut().name[..item.name.len()].copy_from_slice(item.name.as_bytes());
            header.set_entry_type(item.kind);
            if item.kind == EntryType::Symlink {
                header.set_link_name("/etc").unwrap();
            }
            header.set_size(item.content.len() as u64);
            header.set_mode(0o644);
            header.set_cksum();
            builder.append(&header, item.content).unwrap();
        }
        builder.into_inner().unwrap()
    }

    fn run(bytes: &[u8], limits: UnpackLimits) -> (tempfile::TempDir, Result<(), FetchError>) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.tar");
        lodestone_files::write_whole(&path, |file| file.write_all(bytes)).unwrap();
        let result = unpack(&path, &folder.path().join("out"), limits, &mut |_| {});
        (folder, result)
    }

    /// Entries that no archive may bring into a folder, of ten bytes and two entries at most, and what is said of them.
    fn hostile() -> Vec<(Vec<Item>, &'static str)> {
        let file = EntryType::Regular;
        vec![
            (
                vec![item("../evil", file, b"x")],
                "\"../evil\": leaves the folder",
            ),
            (
                vec![item("/evil", file, b"x")],
                "\"/evil\": leaves the folder",
            ),
            (vec![item("a/../../evil", file, b"x")], "leaves the folder"),
            (
                vec![item("link", EntryType::Symlink, b"")],
                "\"link\": Symlink instead of a file",
            ),
            (
                vec![item("big", file, b"eleven byte")],
                "more than 10 bytes in all",
            ),
            (
                vec![
                    item("1", file, b""),
                    item("2", file, b""),
                    item("3", file, b""),
                ],
                "\"3\": more than 2 entries",
            ),
        ]
    }

    #[test]
    fn plain_and_gzip_tar_are_unpacked_and_apple_files_left_out() {
        let plain = archive(&[
            item("./images/", EntryType::Directory, b""),
            item("./images/a b.jpg", EntryType::Regular, b"picture"),
            item("images/._a b.jpg", EntryType::Regular, b"apple"),
        ]);
        let gzip = |bytes: &[u8]| {
            let mut encoder =
                flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
            encoder.write_all(bytes).unwrap();
            encoder.finish().unwrap()
        };
        // Packed in one piece, and in pieces one after the other, as `cat` and parallel packers leave them.
        let (whole, pieces) = (gzip(&plain), plain.chunks(700).flat_map(gzip).collect());
        for bytes in [plain, whole, pieces] {
            let (folder, result) = run(&bytes, UnpackLimits::default());
            result.unwrap();
            let images = folder.path().join("out/images");
            assert_eq!(std::fs::read(images.join("a b.jpg")).unwrap(), b"picture");
            assert_eq!(std::fs::read_dir(images).unwrap().count(), 1);
        }
    }

    #[test]
    fn what_would_leave_the_folder_is_refused() {
        let small = UnpackLimits {
            bytes: 10,
            entries: 2,
        };
        for (items, expected) in hostile() {
            let (folder, result) = run(&archive(&items), small);
            let message = result.unwrap_err().to_string();
            assert!(
                message.contains("a.tar: entry") && message.contains(expected),
                "{message}"
            );
            assert!(!folder.path().join("evil").exists());
        }
    }

    /// A zip of these entries; a link leads to `/etc`.
    fn zip_archive(items: &[Item]) -> Vec<u8> {
        let mut writer = zip::ZipWriter::new(io::Cursor::new(Vec::new()));
        let options = zip::write::SimpleFileOptions::default();
        for item in items {
            match item.kind {
                EntryType::Directory => writer.add_directory(item.name, options).unwrap(),
                EntryType::Symlink => writer.add_symlink(item.name, "/etc", options).unwrap(),
                _ => {
                    writer.start_file(item.name, options).unwrap();
                    writer.write_all(item.content).unwrap();
                }
            }
        }
        writer.finish().unwrap().into_inner()
    }

    #[test]
    fn a_zip_is_unpacked_by_the_same_rules() {
        let file = EntryType::Regular;
        let bytes = zip_archive(&[
            item("Products/", EntryType::Directory, b""),
            item("Products/chair final/1_0.JPG", file, &[7; 5000]),
            item("__MACOSX/._1_0.JPG", file, b"apple"),
        ]);
        let (folder, result) = run(&bytes, UnpackLimits::default());
        result.unwrap();
        let out = folder.path().join("out");
        let photograph = std::fs::read(out.join("Products/chair final/1_0.JPG")).unwrap();
        assert_eq!(photograph, [7; 5000]);
        assert!(!out.join("__MACOSX/._1_0.JPG").exists());

        let small = UnpackLimits {
            bytes: 10,
            entries: 2,
        };
        for (items, expected) in hostile() {
            let (folder, result) = run(&zip_archive(&items), small);
            let message = result.unwrap_err().to_string();
            assert!(message.contains(expected), "{message}");
            assert!(!folder.path().join("evil").exists());
        }
        let (folder, result) = run(&bytes[..bytes.len() - 30], UnpackLimits::default());
        let message = result.unwrap_err().to_string();
        assert!(message.contains("a.tar: entry"), "{message}");
        assert!(!folder.path().join("out").exists());
    }

    #[test]
    fn a_zip_that_holds_more_than_it_declares_leaves_no_file() {
        let mut bytes = zip_archive(&[item("a", EntryType::Regular, &[7; 5000])]);
        // Both headers declare the size, as four bytes.
        let declared = 5000u32.to_le_bytes();
        for position in 0..bytes.len() - 4 {
            if bytes[position..position + 4] == declared {
                bytes[position..position + 4].copy_from_slice(&4u32.to_le_bytes());
            }
        }
        let (folder, result) = run(&bytes, UnpackLimits::default());
        let message = lodestone_files::told(&result.unwrap_err());
        assert!(
            message.contains("larger than its declared uncompressed size"),
            "{message}"
        );
        assert!(!folder.path().join("out/a").exists());
    }

    #[test]
    fn a_tar_of_tars_becomes_a_folder_each_within_the_same_bounds() {
        let file = EntryType::Regular;
        let class = archive(&[item("n01_1.JPEG", file, b"fish")]).leak();
        let outer = archive(&[item("n01.tar", file, class)]);
        let (folder, result) = run(&outer, UnpackLimits::default());
        result.unwrap();
        let path = folder.path().join("out/n01/n01_1.JPEG");
        assert_eq!(std::fs::read(path).unwrap(), b"fish");
        // The inner archive is longer than what is in it, which alone is counted.
        let tight = UnpackLimits {
            bytes: 4,
            entries: 2,
        };
        run(&outer, tight).1.unwrap();
        let evil = archive(&[item("../../evil", file, b"x")]).leak();
        let (_folder, result) = run(
            &archive(&[item("n01.tar", file, evil)]),
            UnpackLimits::default(),
        );
        let message = result.unwrap_err().to_string();
        assert!(
            message.contains("\"../../evil\": leaves the folder"),
            "{message}"
        );
        let small = UnpackLimits {
            bytes: 1 << 20,
            entries: 1,
        };
        let (_folder, result) = run(&outer, small);
        let message = result.unwrap_err().to_string();
        assert!(message.contains("more than 1 entries"), "{message}");
    }

    #[test]
    fn what_is_there_with_its_size_is_not_written_again() {
        let bytes = archive(&[
            item("a", EntryType::Regular, b"new"),
            item("b", EntryType::Regular, b"new"),
        ]);
        let (folder, result) = run(&bytes, UnpackLimits::default());
        result.unwrap();
        let out = folder.path().join("out");
        for (name, text) in [("a", "old"), ("b", "cut-off")] {
            lodestone_files::write_whole(&out.join(name), |file| write!(file, "{text}")).unwrap();
        }
        unpack(
            &folder.path().join("a.tar"),
            &out,
            UnpackLimits::default(),
            &mut |_| {},
        )
        .unwrap();
        assert_eq!(std::fs::read(out.join("a")).unwrap(), b"old");
        assert_eq!(std::fs::read(out.join("b")).unwrap(), b"new");
    }

    #[test]
    fn a_cut_off_archive_leaves_no_half_file() {
        let bytes = archive(&[item("a", EntryType::Regular, &[7; 2000])]);
        let (folder, result) = run(&bytes[..1500], UnpackLimits::default());
        assert!(result.is_err());
        assert!(!folder.path().join("out/a").exists());
    }
}
