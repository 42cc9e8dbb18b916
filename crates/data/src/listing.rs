//! The image files below a folder, found once and remembered.
//!
//! Reading a tree of a million files takes a cold disk minutes. A listing keeps the result with the time of change of every
//! folder; adding, removing or renaming a file changes its folder's time, and the tree is read again. Contents of files are
//! not looked at. The listing appears whole, and a damaged or foreign one is ignored.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use crate::error::DataError;
use crate::sums::sha256;

/// Endings of files that are taken for images: all that are usual for the formats that can be decoded. The content decides
/// the format.
const ENDINGS: [&str; 14] = [
    "jpg", "jpeg", "jpe", "jfif", "png", "gif", "bmp", "webp", "tif", "tiff", "ppm", "pgm", "pbm",
    "pnm",
];
/// What systems, cameras' clouds and archives put among photographs, in lower case. Names that begin with a dot are
/// theirs too.
const LITTER: [&str; 12] = [
    "__macosx",
    "@eadir",
    "@recycle",
    "@recently-snapshot",
    "#recycle",
    "#snapshot",
    "$recycle.bin",
    "system volume information",
    "lost+found",
    "thumbs.db",
    "ehthumbs.db",
    "desktop.ini",
];
const FIRST_LINE: &str = "lodestone listing 2";

/// Folders and files below a root, as relative paths sorted by bytes. What is hidden, among them the `._` files of macOS,
/// and what systems leave behind is left out.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Tree {
    pub(crate) folders: Vec<PathBuf>,
    /// Files that are images by their ending.
    pub(crate) files: Vec<PathBuf>,
    /// Files that are not.
    pub(crate) others: Vec<PathBuf>,
}

impl Tree {
    /// The part of the tree inside a folder, with paths that start from there.
    pub(crate) fn inside(&self, folder: &Path) -> Tree {
        let part = |paths: &[PathBuf]| {
            let inside = paths.iter().filter_map(|path| {
                let path = path.strip_prefix(folder).ok()?;
                (!path.as_os_str().is_empty()).then(|| path.to_path_buf())
            });
            inside.collect()
        };
        Tree {
            folders: part(&self.folders),
            files: part(&self.files),
            others: part(&self.others),
        }
    }
}

/// The tree below `root`; with a folder for listings, read from there if nothing changed, else written there.
///
/// Links to folders are followed; a link that leads back to a folder it stands in is an error.
pub(crate) fn tree(root: &Path, listings: Option<&Path>) -> Result<Tree, DataError> {
    let Some(listings) = listings else {
        return Ok(walk_all(root)?.0);
    };
    let real = root
        .canonicalize()
        .map_err(|source| DataError::read(root, source))?;
    let name = sha256(real.as_os_str().as_encoded_bytes());
    let path = listings.join(format!("{}.listing", &name[..32]));
    if let Some(tree) = std::fs::read(&path)
        .ok()
        .and_then(|bytes| parse(root, bytes))
    {
        lodestone_files::touch(&path);
        return Ok(tree);
    }
    let (tree, times) = walk_all(root)?;
    if let Some(bytes) = encode(&tree, &times) {
        // The tree is at hand: where it cannot be kept it is walked again the next time.
        let _ = lodestone_files::write_whole(&path, |file| file.write_all(&bytes));
    }
    Ok(tree)
}

/// When each folder had last changed before it was read: what is put into it later makes the listing out of date.
type Times = BTreeMap<PathBuf, Option<u128>>;

fn walk_all(root: &Path) -> Result<(Tree, Times), DataError> {
    let (mut tree, mut times) = (Tree::default(), Times::new());
    walk(root, Path::new(""), &mut Vec::new(), &mut tree, &mut times)?;
    tree.folders.sort();
    tree.files.sort();
    tree.others.sort();
    Ok((tree, times))
}

fn walk(
    root: &Path,
    folder: &Path,
    ancestors: &mut Vec<PathBuf>,
    tree: &mut Tree,
    times: &mut Times,
) -> Result<(), DataError> {
    let path = root.join(folder);
    let unreadable = |source| DataError::read(&path, source);
    let real = path.canonicalize().map_err(unreadable)?;
    if ancestors.contains(&real) {
        let problem = format!("leads back to {}", real.display());
        return Err(DataError::content(&path, "link loop", problem));
    }
    ancestors.push(real);
    times.insert(folder.to_path_buf(), changed(&path));
    for entry in std::fs::read_dir(&path).map_err(unreadable)? {
        let entry = entry.map_err(unreadable)?;
        let name = entry.file_name();
        if is_litter(&name) {
            continue;
        }
        let kind = entry.file_type().map_err(unreadable)?;
        let relative = folder.join(&name);
        // Only a link costs a second look at the disk.
        if kind.is_dir() || kind.is_symlink() && entry.path().is_dir() {
            walk(root, &relative, ancestors, tree, times)?;
            tree.folders.push(relative);
        } else if has_image_ending(&relative) {
            tree.files.push(relative);
        } else {
            tree.others.push(relative);
        }
    }
    ancestors.pop();
    Ok(())
}

fn is_litter(name: &OsStr) -> bool {
    name.as_encoded_bytes().starts_with(b".")
        || LITTER.iter().any(|known| name.eq_ignore_ascii_case(known))
}

fn has_image_ending(path: &Path) -> bool {
    path.extension()
        .and_then(|ending| ending.to_str())
        .is_some_and(|ending| {
            ENDINGS
                .iter()
                .any(|known| known.eq_ignore_ascii_case(ending))
        })
}

/// Nanoseconds since 1970 at which entries of a folder last changed.
fn changed(folder: &Path) -> Option<u128> {
    let time = std::fs::metadata(folder).ok()?.modified().ok()?;
    Some(time.duration_since(UNIX_EPOCH).ok()?.as_nanos())
}

/// First line, number of folders, then time and path of the root and every folder, number of image files, then the files;
/// each field ends with a zero byte, which no path contains. `None` for names that are not UTF-8: such trees are read anew every time.
fn encode(tree: &Tree, times: &Times) -> Option<Vec<u8>> {
    let mut text = format!("{FIRST_LINE}\0{}\0", tree.folders.len() + 1);
    for folder in std::iter::once(Path::new("")).chain(tree.folders.iter().map(PathBuf::as_path)) {
        let time = times.get(folder).copied().flatten()?;
        text += &format!("{time}\0{}\0", folder.to_str()?);
    }
    text += &format!("{}\0", tree.files.len());
    for file in tree.files.iter().chain(&tree.others) {
        text += file.to_str()?;
        text.push('\0');
    }
    // The end is marked, so that a copy cut off elsewhere is not mistaken for a small tree.
    text += "end\0";
    Some(text.into_bytes())
}

/// The tree of a listing, if it is whole and no folder changed since.
fn parse(root: &Path, bytes: Vec<u8>) -> Option<Tree> {
    let text = String::from_utf8(bytes).ok()?;
    let text = text
        .strip_suffix("\0end\0")
        .map(|text| format!("{text}\0"))?;
    let mut fields = text.split_terminator('\0');
    if fields.next()? != FIRST_LINE {
        return None;
    }
    let folder_count: usize = fields.next()?.parse().ok()?;
    let mut folders = Vec::new();
    for number in 0..folder_count {
        let time: u128 = fields.next()?.parse().ok()?;
        let folder = fields.next()?;
        if changed(&root.join(folder)) != Some(time) {
            return None;
        }
        if number > 0 {
            folders.push(PathBuf::from(folder));
        }
    }
    let file_count: usize = fields.next()?.parse().ok()?;
    let mut files: Vec<PathBuf> = fields.map(PathBuf::from).collect();
    if files.len() < file_count {
        return None;
    }
    let others = files.split_off(file_count);
    Some(Tree {
        folders,
        files,
        others,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn touch(folder: &Path, file: &str) {
        lodestone_files::write_whole(&folder.join(file), |_| Ok(())).unwrap();
    }

    #[test]
    fn a_listing_gives_the_same_tree_until_a_folder_changes() {
        let (folder, cache) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        for file in [
            "b/2.JPG",
            "b/c/é\n1.png",
            "a/x.webp",
            "a/._1.jpg",
            "a/n.txt",
        ] {
            touch(folder.path(), file);
        }
        let first = tree(folder.path(), Some(cache.path())).unwrap();
        assert_eq!(first, walk_all(folder.path()).unwrap().0);
        assert_eq!(first.files.len(), 3);
        assert_eq!(first.others, [PathBuf::from("a/n.txt")]);
        assert_eq!(first.folders, ["a", "b", "b/c"].map(PathBuf::from));
        // The listing is what is read: change its content and see it come back.
        let path = std::fs::read_dir(cache.path())
            .unwrap()
            .next()
            .unwrap()
            .unwrap()
            .path();
        let text = std::fs::read_to_string(&path).unwrap();
        let changed = text.replace("x.webp", "y.webp");
        lodestone_files::write_whole(&path, |file| file.write_all(changed.as_bytes())).unwrap();
        let second = tree(folder.path(), Some(cache.path())).unwrap();
        assert_eq!(second.files[0], Path::new("a/y.webp"));
        for damaged in [&text[..text.len() - 1], &text[..40], "", "x\0end\0"] {
            lodestone_files::write_whole(&path, |file| file.write_all(damaged.as_bytes())).unwrap();
            assert_eq!(tree(folder.path(), Some(cache.path())).unwrap(), first);
        }
        touch(folder.path(), "b/c/new.png");
        assert_eq!(
            tree(folder.path(), Some(cache.path())).unwrap().files.len(),
            4
        );
    }

    #[test]
    fn what_systems_leave_among_photographs_is_not_seen() {
        let folder = tempfile::tempdir().unwrap();
        for file in [
            "a/1.JFIF",
            "a/2.gif",
            "a/3.heic",
            "a/Thumbs.db",
            "a/desktop.ini",
            "a/@eaDir/1.jpg/SYNOPHOTO_THUMB_M.jpg",
            "a/.DS_Store",
            "__MACOSX/a/1.jpg",
            "$RECYCLE.BIN/x.jpg",
            "lost+found/1.jpg",
        ] {
            touch(folder.path(), file);
        }
        let tree = tree(folder.path(), None).unwrap();
        assert_eq!(tree.folders, [PathBuf::from("a")]);
        assert_eq!(tree.files, ["a/1.JFIF", "a/2.gif"].map(PathBuf::from));
        assert_eq!(tree.others, [PathBuf::from("a/3.heic")]);
    }

    #[cfg(unix)]
    #[test]
    fn a_link_loop_is_an_error_and_an_honest_link_is_followed() {
        let (folder, outside) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        touch(folder.path(), "a/1.jpg");
        touch(outside.path(), "2.jpg");
        std::os::unix::fs::symlink(outside.path(), folder.path().join("a/linked")).unwrap();
        assert_eq!(tree(folder.path(), None).unwrap().files.len(), 2);
        std::os::unix::fs::symlink(folder.path(), folder.path().join("a/loop")).unwrap();
        let message = tree(folder.path(), None).unwrap_err().to_string();
        assert!(message.contains("link loop"), "{message}");
    }
}
