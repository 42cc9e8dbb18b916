//! Downloading official archives: the only part of this crate that uses the network, and only when it is called.
//!
//! A download goes to `NAME.part` and continues there after a break; only a file with the published sum gets its name. Then it
//! is unpacked by the rules of [`unpack`].

mod unpack;

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

pub use self::unpack::UnpackLimits;
use self::unpack::unpack;
use crate::error::DataError;
use crate::official::Archive;
use crate::sums;

/// What a caller may show while an archive comes in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FetchProgress<'a> {
    /// Bytes there so far, and in all if the server says so.
    Downloaded {
        /// Name of the archive.
        name: &'a str,
        /// Bytes on the disk.
        bytes: u64,
        /// Bytes in all.
        total: Option<u64>,
    },
    /// The sum is right and the archive is being unpacked.
    Unpacking {
        /// Name of the archive.
        name: &'a str,
        /// Entries so far.
        entries: u64,
    },
}

/// Downloading or unpacking failed. What has arrived stays, and the next attempt continues from there.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// There is no address that everybody can download the file from.
    #[error("{name} cannot be downloaded freely, and is not in {}", folder.display())]
    ByHand {
        /// Name of the archive.
        name: &'static str,
        /// Where it belongs.
        folder: PathBuf,
    },
    /// The server cannot be reached, refused, or broke off.
    #[error("{url}: {problem}")]
    Network {
        /// Address.
        url: String,
        /// What happened.
        problem: String,
    },
    /// The file system refused, for instance because the disk is full.
    #[error("cannot write {}", path.display())]
    Disk {
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        #[source]
        source: io::Error,
    },
    /// The file is not the published one. It has been removed.
    #[error(transparent)]
    Data(#[from] DataError),
    /// An archive holds an entry that must not be unpacked, or more than the bounds allow.
    #[error("{}: entry {entry:?}: {problem}", path.display())]
    Entry {
        /// The archive.
        path: PathBuf,
        /// Name of the entry.
        entry: String,
        /// Why it is refused.
        problem: String,
    },
}

/// Downloads an archive into `folder` unless it is there, checks its sum and unpacks it.
///
/// An archive without an address is checked and unpacked if the user has put it there.
///
/// # Errors
/// [`FetchError`]. A broken connection leaves the part that arrived; a wrong sum removes what was downloaded, never a file
/// that was there before.
pub fn fetch(
    archive: &Archive,
    folder: &Path,
    limits: UnpackLimits,
    progress: &mut dyn FnMut(FetchProgress<'_>),
) -> Result<(), FetchError> {
    fetch_from(archive.url().as_deref(), archive, folder, limits, progress)
}

fn fetch_from(
    url: Option<&str>,
    archive: &Archive,
    folder: &Path,
    limits: UnpackLimits,
    progress: &mut dyn FnMut(FetchProgress<'_>),
) -> Result<(), FetchError> {
    std::fs::create_dir_all(folder).map_err(|source| disk(folder, source))?;
    let path = folder.join(archive.name);
    if !path.is_file() {
        let url = url.ok_or_else(|| FetchError::ByHand {
            name: archive.name,
            folder: folder.to_path_buf(),
        })?;
        let part = folder.join(format!("{}.part", archive.name));
        download(url, archive.name, &part, progress)?;
        if let Err(error) = check_sum(&part, archive.md5) {
            // Continuing a wrong file would never end well.
            std::fs::remove_file(&part).map_err(|source| disk(&part, source))?;
            return Err(error);
        }
        std::fs::rename(&part, &path).map_err(|source| disk(&path, source))?;
    } else {
        check_sum(&path, archive.md5)?;
    }
    if let Some(below) = archive.unpack_to {
        unpack(&path, &folder.join(below), limits, &mut |entries| {
            progress(FetchProgress::Unpacking {
                name: archive.name,
                entries,
            });
        })?;
    }
    Ok(())
}

fn check_sum(path: &Path, expected: &str) -> Result<(), FetchError> {
    let found = sums::md5_of_file(path)?;
    if found == expected {
        return Ok(());
    }
    let expected = expected.to_owned();
    Err(DataError::Sum {
        path: path.to_path_buf(),
        kind: "md5",
        expected,
        found,
    }
    .into())
}

/// Appends to `part` what is missing. A server that ignores the wish for a range is read from the beginning.
fn download(
    url: &str,
    name: &str,
    part: &Path,
    progress: &mut dyn FnMut(FetchProgress<'_>),
) -> Result<(), FetchError> {
    let network = |problem: String| FetchError::Network {
        url: url.to_owned(),
        problem,
    };
    let have = std::fs::metadata(part).map_or(0, |metadata| metadata.len());
    let mut request = ureq::get(url);
    if have > 0 {
        request = request.header("range", format!("bytes={have}-"));
    }
    let response = match request.call() {
        Ok(response) => response,
        // Range not satisfiable: everything is there already, and the sum will tell whether it is right.
        Err(ureq::Error::StatusCode(416)) if have > 0 => return Ok(()),
        Err(error) => return Err(network(error.to_string())),
    };
    let continues = response.status().as_u16() == 206;
    let length: Option<u64> = response
        .headers()
        .get("content-length")
        .and_then(|value| value.to_str().ok()?.parse().ok());
    let start = if continues { have } else { 0 };
    let total = length.map(|length| start + length);
    let mut file = OpenOptions::new()
        .create(true)
        .write(true)
        .append(continues)
        .truncate(!continues)
        .open(part)
        .map_err(|source| disk(part, source))?;
    let mut bytes = start;
    let copied = copy(
        &mut response.into_body().into_reader(),
        &mut file,
        &mut |count| {
            bytes += count;
            progress(FetchProgress::Downloaded { name, bytes, total });
        },
    );
    match copied {
        Ok(()) => {}
        Err(Broke::Reading(error)) => return Err(network(error.to_string())),
        Err(Broke::Writing(source)) => return Err(disk(part, source)),
    }
    match total {
        Some(total) if bytes < total => {
            Err(network(format!("broke off after {bytes} of {total} bytes")))
        }
        _ => file.sync_all().map_err(|source| disk(part, source)),
    }
}

/// Which end of a copy failed: they are different mistakes for the user.
enum Broke {
    Reading(io::Error),
    Writing(io::Error),
}

fn copy(
    from: &mut impl Read,
    to: &mut impl Write,
    progress: &mut dyn FnMut(u64),
) -> Result<(), Broke> {
    let mut piece = vec![0; 1 << 16];
    loop {
        let count = match from.read(&mut piece) {
            Ok(0) => return to.flush().map_err(Broke::Writing),
            Ok(count) => count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(Broke::Reading(error)),
        };
        to.write_all(&piece[..count]).map_err(Broke::Writing)?;
        progress(count as u64);
    }
}

fn disk(path: &Path, source: io::Error) -> FetchError {
    FetchError::Disk {
        path: path.to_path_buf(),
        source,
    }
}

/// Opens a file for reading, for both halves of this module.
fn open(path: &Path) -> Result<File, FetchError> {
    File::open(path).map_err(|source| DataError::read(path, source).into())
}

#[cfg(test)]
mod tests {
    use std::io::{BufRead, BufReader};
    use std::net::TcpListener;
    use std::thread::JoinHandle;

    use super::*;

    /// What the server does with one connection.
    enum Reply {
        /// Honours ranges and sends everything.
        Whole,
        /// Announces everything and closes after so many bytes.
        BreakAfter(usize),
        /// Ignores ranges.
        NoRange,
        /// Answers 404.
        Missing,
    }

    /// Serves `content` on loopback, one connection for each reply, and returns the ranges that were asked for.
    fn serve(content: Vec<u8>, replies: Vec<Reply>) -> (String, JoinHandle<Vec<Option<usize>>>) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/a.bin", listener.local_addr().unwrap());
        let server = std::thread::spawn(move || {
            let mut asked = Vec::new();
            for reply in replies {
                let (mut stream, _) = listener.accept().unwrap();
                let mut from = None;
                for line in BufReader::new(&stream).lines() {
                    let line = line.unwrap().to_ascii_lowercase();
                    if let Some(range) = line.strip_prefix("range: bytes=") {
                        from = Some(range.trim_end_matches('-').parse::<usize>().unwrap());
                    }
                    if line.is_empty() {
                        break;
                    }
                }
                asked.push(from);
                let start = from.unwrap_or(0);
                let (status, body) = match &reply {
                    Reply::Missing => ("404 Not Found", &b""[..]),
                    Reply::NoRange => ("200 OK", &content[..]),
                    _ if start > content.len() => ("416 Range Not Satisfiable", &b""[..]),
                    _ if from.is_some() => ("206 Partial Content", &content[start..]),
                    _ => ("200 OK", &content[..]),
                };
                let sent = match reply {
                    Reply::BreakAfter(count) => &body[..count],
                    _ => body,
                };
                let length = body.len();
                write!(
                    stream,
                    "HTTP/1.1 {status}\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n"
                )
                .unwrap();
                // A client whose disk is full hangs up before the end.
                let _ = stream.write_all(sent);
            }
            asked
        });
        (url, server)
    }

    fn content() -> Vec<u8> {
        (0..200_000u32)
            .map(|value| (value.wrapping_mul(value) >> 7) as u8)
            .collect()
    }

    /// An archive with the sum of [`content`], kept as it is.
    const ARCHIVE: Archive = Archive {
        name: "a.bin",
        site: None,
        md5: "SUM",
        unpack_to: None,
    };

    fn archive() -> Archive {
        use md5::Digest;
        let sum = sums::hexadecimal(&md5::Md5::digest(content()));
        Archive {
            md5: Box::leak(sum.into_boxed_str()),
            ..ARCHIVE
        }
    }

    fn run(url: &str, archive: &Archive, folder: &Path) -> Result<(), FetchError> {
        let limits = UnpackLimits::default();
        fetch_from(Some(url), archive, folder, limits, &mut |_| {})
    }

    #[test]
    fn a_broken_connection_is_continued_where_it_broke() {
        let folder = tempfile::tempdir().unwrap();
        let (url, server) = serve(content(), vec![Reply::BreakAfter(70_000), Reply::Whole]);
        let message = run(&url, &archive(), folder.path())
            .unwrap_err()
            .to_string();
        assert!(message.contains("127.0.0.1"), "{message}");
        assert!(!folder.path().join("a.bin").exists());
        run(&url, &archive(), folder.path()).unwrap();
        assert_eq!(server.join().unwrap(), [None, Some(70_000)]);
        assert_eq!(
            std::fs::read(folder.path().join("a.bin")).unwrap(),
            content()
        );
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
        // What is there with the right sum is not asked for again.
        run(&url, &archive(), folder.path()).unwrap();
    }

    #[test]
    fn a_server_without_ranges_is_read_from_the_beginning() {
        let folder = tempfile::tempdir().unwrap();
        let part = folder.path().join("a.bin.part");
        lodestone_files::write_whole(&part, |file| file.write_all(&content()[..500])).unwrap();
        let (url, server) = serve(content(), vec![Reply::NoRange]);
        run(&url, &archive(), folder.path()).unwrap();
        assert_eq!(server.join().unwrap(), [Some(500)]);
        assert_eq!(
            std::fs::read(folder.path().join("a.bin")).unwrap(),
            content()
        );
    }

    #[test]
    fn a_wrong_sum_leaves_no_file_behind() {
        let folder = tempfile::tempdir().unwrap();
        let mut wrong = content();
        wrong[5] ^= 1;
        let (url, server) = serve(wrong, vec![Reply::Whole]);
        let message = run(&url, &archive(), folder.path())
            .unwrap_err()
            .to_string();
        server.join().unwrap();
        assert!(
            message.contains("a.bin.part: md5 is") && message.contains(archive().md5),
            "{message}"
        );
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    }

    #[test]
    fn refusals_name_the_address_or_the_archive() {
        let folder = tempfile::tempdir().unwrap();
        let (url, server) = serve(content(), vec![Reply::Missing]);
        let message = run(&url, &archive(), folder.path())
            .unwrap_err()
            .to_string();
        server.join().unwrap();
        assert!(
            message.starts_with(&url) && message.contains("404"),
            "{message}"
        );
        let limits = UnpackLimits::default();
        let message = fetch(&ARCHIVE, folder.path(), limits, &mut |_| {})
            .unwrap_err()
            .to_string();
        assert!(
            message.starts_with("a.bin cannot be downloaded freely"),
            "{message}"
        );
    }

    #[test]
    fn an_archive_without_an_address_is_used_when_it_is_there() {
        let folder = tempfile::tempdir().unwrap();
        lodestone_files::write_whole(&folder.path().join("a.bin"), |file| {
            file.write_all(&content())
        })
        .unwrap();
        let limits = UnpackLimits::default();
        fetch(&archive(), folder.path(), limits, &mut |_| {}).unwrap();
        // A file that the user brought stays, whatever its sum.
        assert!(fetch(&ARCHIVE, folder.path(), limits, &mut |_| {}).is_err());
        assert!(folder.path().join("a.bin").exists());
    }

    /// Linux keeps a device that is always full.
    #[cfg(target_os = "linux")]
    #[test]
    fn a_download_onto_a_full_disk_names_the_file_and_the_reason() {
        let folder = tempfile::tempdir().unwrap();
        let part = folder.path().join("a.bin.part");
        std::os::unix::fs::symlink("/dev/full", &part).unwrap();
        let (url, server) = serve(content(), vec![Reply::Whole]);
        let error = run(&url, &archive(), folder.path()).unwrap_err();
        server.join().unwrap();
        let FetchError::Disk { path, source } = &error else {
            panic!("the disk was full, not the network: {error}")
        };
        assert_eq!((path, source.kind()), (&part, io::ErrorKind::StorageFull));
        assert!(!folder.path().join("a.bin").exists());
    }

    /// Takes so many bytes and then has no space left.
    struct FullDisk(usize);

    impl Write for FullDisk {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let taken = bytes.len().min(self.0);
            self.0 -= taken;
            if taken == 0 {
                Err(io::ErrorKind::StorageFull.into())
            } else {
                Ok(taken)
            }
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_full_disk_is_told_from_a_broken_connection() {
        let broke = copy(&mut &content()[..], &mut FullDisk(100_000), &mut |_| {}).unwrap_err();
        let Broke::Writing(error) = broke else {
            panic!("the disk was full, not the network")
        };
        assert_eq!(error.kind(), io::ErrorKind::StorageFull);
        let error = disk(Path::new("x.part"), error);
        let text = lodestone_files::told(&error);
        assert!(text.starts_with("cannot write x.part: "), "{text}");
    }
}
