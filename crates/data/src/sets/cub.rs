//! CUB-200-2011: 200 species of birds.
//!
//! Wah et al., *The Caltech-UCSD Birds-200-2011 dataset*, Caltech report CNS-TR-2011-001. `images.txt` decides which photographs
//! belong to the set; each of the other lists says one thing about each of them.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::paths::check_files;
use super::protocol::ClassProtocol;
use super::text_lists::{Line, TextList};
use super::voc::Regions;
use crate::error::DataError;
use crate::table::{PixelBox, Row, Table};

const CLASSES: usize = 200;

/// What every number on this set must be read with.
pub(crate) const NOTICE: &str = "the publisher of CUB-200-2011 warns that its photographs overlap with ImageNet's: weights \
    pretrained on ImageNet may have seen some of them, test photographs included";

/// Reads `images.txt` and what the other lists say about its photographs; rows are in the order of their numbers.
pub(crate) fn open(
    root: &Path,
    protocol: ClassProtocol,
    regions: Regions,
) -> Result<Table, DataError> {
    let column = |name: &str| root.join(name);
    let folders = Column::open(column("classes.txt"), "class", |line| {
        line.fields()
            .map(|[_, folder]: [&str; 2]| folder.to_owned())
    })?;
    let classes = Column::open(column("image_class_labels.txt"), "image", |line| {
        let [_, class] = line.fields()?;
        line.whole("class", class, 1..=CLASSES)
    })?;
    // A copy made for the metric protocol may lack the list that only the other one needs.
    let training = match protocol {
        ClassProtocol::Metric => None,
        ClassProtocol::Closed => Some(Column::open(
            column("train_test_split.txt"),
            "image",
            |line| {
                let [_, trains] = line.fields()?;
                Ok(line.whole("is_training_image", trains, 0..=1)? == 1)
            },
        )?),
    };
    let boxes = match regions {
        Regions::Whole => None,
        Regions::Annotated => Some(Column::open(
            column("bounding_boxes.txt"),
            "image",
            rectangle,
        )?),
    };

    let images = Column::open(column("images.txt"), "image", |line| {
        let [_, path] = line.fields()?;
        Ok((path.to_owned(), line.path(path)?))
    })?;
    let mut first_seen = BTreeMap::new();
    let mut rows = Vec::new();
    for (&id, (line, (name, path))) in &images.values {
        let error = |problem| DataError::content(&images.path, format!("line {line}"), problem);
        if let Some(earlier) = first_seen.insert(name, line) {
            return Err(error(format!("{name} stands in line {earlier} too")));
        }
        let class = *classes.of(id, &images, *line)?;
        let folder = folders.of(class, &images, *line)?;
        if !path.starts_with(folder) {
            return Err(error(format!(
                "{name} has class {class}, which is {folder}"
            )));
        }
        let listed_to_train = match &training {
            Some(training) => *training.of(id, &images, *line)?,
            None => false,
        };
        let split = protocol.split(class - 1, CLASSES, listed_to_train);
        let mut row = Row::file(PathBuf::from("images").join(path), class - 1, split);
        if let Some(boxes) = &boxes {
            row.region = Some(*boxes.of(id, &images, *line)?);
        }
        rows.push(row);
    }
    check_files(root, &rows)?;
    let names = (1..=CLASSES).map(|class| match folders.values.get(&class) {
        Some((_, folder)) => species(folder),
        // A subset may lack a class; its number keeps the others in place.
        None => format!("class {class}"),
    });
    let name = format!("cub-200-2011:{}", protocol.name());
    let mut table = Table::of_files(name, root, names.collect(), rows);
    table.class_ids = (1..=CLASSES).map(|class| class.to_string()).collect();
    table.notices.push(NOTICE.to_owned());
    Ok(table)
}

/// A list whose lines begin with the number of what they tell about.
struct Column<T> {
    path: PathBuf,
    /// What is numbered.
    of: &'static str,
    /// By number: the line, and what it tells.
    values: BTreeMap<usize, (usize, T)>,
}

impl<T> Column<T> {
    fn open(
        path: PathBuf,
        of: &'static str,
        value: impl Fn(&Line<'_>) -> Result<T, DataError>,
    ) -> Result<Self, DataError> {
        let list = TextList::open(&path)?;
        let mut values = BTreeMap::new();
        for line in list.lines() {
            let number = line.text.split_whitespace().next().unwrap_or_default();
            let number = line.whole(of, number, 1..=usize::MAX)?;
            if let Some((earlier, _)) = values.insert(number, (line.number, value(&line)?)) {
                return Err(line.error(format!("{of} {number} stands in line {earlier} too")));
            }
        }
        Ok(Column { path, of, values })
    }

    /// What the list tells about a number that stands in a line of another list.
    fn of<U>(&self, number: usize, other: &Column<U>, line: usize) -> Result<&T, DataError> {
        self.values
            .get(&number)
            .map(|(_, value)| value)
            .ok_or_else(|| {
                let problem = format!("{} {number} is not in {}", self.of, self.path.display());
                DataError::content(&other.path, format!("line {line}"), problem)
            })
    }
}

/// Left, top, width and height, as fractions of pixels counted from 0.
fn rectangle(line: &Line<'_>) -> Result<PixelBox, DataError> {
    let [_, fields @ ..] = line.fields::<5>()?;
    let mut numbers = [0.0; 4];
    for (number, field) in numbers.iter_mut().zip(fields) {
        let value = field.parse().ok();
        *number = value
            .filter(|number: &f64| (0.0..=f64::from(u32::MAX)).contains(number))
            .ok_or_else(|| line.error(format!("{field:?} is no length of 0 or more pixels")))?;
    }
    let [left, top, width, height] = numbers;
    let region = PixelBox {
        left: left as u32,
        top: top as u32,
        right: (left + width).ceil() as u32,
        bottom: (top + height).ceil() as u32,
    };
    if region.left >= region.right || region.top >= region.bottom {
        return Err(line.error(format!("the rectangle {fields:?} is empty")));
    }
    Ok(region)
}

/// `001.Black_footed_Albatross` is the species `Black footed Albatross`.
fn species(folder: &str) -> String {
    let name = folder.split_once('.').map_or(folder, |(_, name)| name);
    name.replace('_', " ")
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::doctor::tests::photograph;
    use crate::table::Split;

    const LISTS: [(&str, &str); 5] = [
        (
            "images.txt",
            "1 001.Black_footed_Albatross/a_1.jpg\n2 100.Brown_Pelican/b_1.jpg\n\
             3 101.White_Pelican/c_1.jpg\n4 101.White_Pelican/c_2.jpg\n",
        ),
        ("image_class_labels.txt", "1 1\n2 100\n3 101\n4 101\n5 7\n"),
        (
            "classes.txt",
            "1 001.Black_footed_Albatross\n100 100.Brown_Pelican\n101 101.White_Pelican\n",
        ),
        ("train_test_split.txt", "1 0\n2 1\n3 1\n4 0\n"),
        (
            "bounding_boxes.txt",
            "1 60.0 27.0 325.0 304.0\n2 0.5 0 1.2 9\n3 1 1 2 2\n4 1 1 2 2\n",
        ),
    ];

    /// Four photographs of three species.
    pub(crate) fn folder() -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, bytes: &[u8]| {
            lodestone_files::write_whole(&folder.path().join(name), |file| file.write_all(bytes))
                .unwrap();
        };
        for (name, text) in LISTS {
            write(name, text.as_bytes());
        }
        for (number, line) in LISTS[0].1.lines().enumerate() {
            let path = line.split_once(' ').unwrap().1;
            write(&format!("images/{path}"), &photograph(number as u32));
        }
        folder
    }

    fn splits(table: &Table) -> Vec<Split> {
        table.rows.iter().map(|row| row.split).collect()
    }

    #[test]
    fn the_protocol_splits_by_class_or_by_the_publishers_list() {
        use Split::{Test, Train};
        let folder = folder();
        let metric = open(folder.path(), ClassProtocol::Metric, Regions::Whole).unwrap();
        assert_eq!(metric.name, "cub-200-2011:metric");
        assert_eq!(metric.labels(&[0, 1, 2, 3]), [0, 99, 100, 100]);
        assert_eq!(splits(&metric), [Train, Train, Test, Test]);
        assert_eq!(metric.classes(), 200);
        assert_eq!(metric.class_names[0], "Black footed Albatross");
        assert_eq!(
            (&*metric.class_names[1], &*metric.class_ids[99]),
            ("class 2", "100")
        );
        assert_eq!(metric.rows[0].region, None);
        assert!(metric.notices[0].contains("ImageNet"));

        let closed = open(folder.path(), ClassProtocol::Closed, Regions::Annotated).unwrap();
        assert_eq!(splits(&closed), [Test, Train, Train, Test]);
        let region = |left, top, right, bottom| {
            Some(PixelBox {
                left,
                top,
                right,
                bottom,
            })
        };
        assert_eq!(closed.rows[0].region, region(60, 27, 385, 331));
        assert_eq!(closed.rows[1].region, region(0, 0, 2, 9));
    }

    #[test]
    fn the_metric_protocol_does_not_need_the_publishers_split() {
        let folder = folder();
        std::fs::remove_file(folder.path().join("train_test_split.txt")).unwrap();
        open(folder.path(), ClassProtocol::Metric, Regions::Whole).unwrap();
        let error = open(folder.path(), ClassProtocol::Closed, Regions::Whole).unwrap_err();
        assert!(
            error.to_string().contains("train_test_split.txt"),
            "{error}"
        );
    }

    #[test]
    fn bad_lists_are_named_with_file_line_and_value() {
        let cases = [
            (
                "images.txt",
                "1 a b",
                "images.txt: line 1: 3 fields instead of 2",
            ),
            (
                "images.txt",
                "0 a/b.jpg",
                "line 1: image \"0\" is not a whole number from 1 on",
            ),
            (
                "images.txt",
                "1 ../b.jpg",
                "line 1: the path \"../b.jpg\" leaves",
            ),
            (
                "images.txt",
                "1 001.Black_footed_Albatross/a_1.jpg\n\n1 100.Brown_Pelican/b_1.jpg",
                "line 3: image 1 stands in line 1 too",
            ),
            (
                "images.txt",
                "3 101.White_Pelican/c_1.jpg\n4 101.White_Pelican/c_1.jpg",
                "line 2: 101.White_Pelican/c_1.jpg stands in line 1 too",
            ),
            (
                "images.txt",
                "1 100.Brown_Pelican/b_1.jpg",
                "has class 1, which is 001.Black_footed_Albatross",
            ),
            (
                "images.txt",
                "9 a/b.jpg",
                "images.txt: line 1: image 9 is not in ",
            ),
            (
                "images.txt",
                "3 101.White_Pelican/gone.jpg",
                "gone.jpg: listed file",
            ),
            (
                "image_class_labels.txt",
                "1 201",
                "image_class_labels.txt: line 1: class \"201\" is not a whole number of 1..=200",
            ),
            (
                "classes.txt",
                "1 001.Black_footed_Albatross",
                "line 2: class 100 is not in ",
            ),
            (
                "train_test_split.txt",
                "1 2",
                "line 1: is_training_image \"2\" is not a whole number of 0..=1",
            ),
            (
                "bounding_boxes.txt",
                "1 nan 1 1 1",
                "\"nan\" is no length of 0 or more pixels",
            ),
            (
                "bounding_boxes.txt",
                "1 5 5 0 5",
                "line 1: the rectangle [\"5\", \"5\", \"0\", \"5\"] is empty",
            ),
        ];
        for (name, text, expected) in cases {
            let folder = folder();
            lodestone_files::write_whole(&folder.path().join(name), |file| {
                file.write_all(text.as_bytes())
            })
            .unwrap();
            let message = open(folder.path(), ClassProtocol::Closed, Regions::Annotated)
                .unwrap_err()
                .to_string();
            assert!(message.contains(expected), "{message}");
        }
    }
}
