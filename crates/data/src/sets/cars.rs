//! Cars196, also called Stanford Cars: 196 makes and models of cars.
//!
//! Krause et al., *3D object representations for fine-grained categorization*, 3dRR workshop 2013. Two layouts are about. The
//! first has all photographs in `car_ims/` and one list, `cars_annos.mat`; the later one keeps training and test photographs
//! apart and has a `devkit/`, to which the publisher added the classes of the test photographs afterwards.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::mat_lists::MatList;
use super::paths::{check_files, relative};
use super::protocol::ClassProtocol;
use super::voc::{Regions, between};
use crate::error::DataError;
use crate::table::{Row, Table};

const CLASSES: usize = 196;
const LIST: &str = "annotations";

/// The list of the first layout.
const MERGED: &str = "cars_annos.mat";
/// The lists of the later layout.
const TRAINING: &str = "devkit/cars_train_annos.mat";
const TEST: [&str; 2] = [
    "cars_test_annos_withlabels.mat",
    "devkit/cars_test_annos_withlabels.mat",
];
const NAMES: &str = "devkit/cars_meta.mat";

/// Reads either layout; rows are in the order of the lists.
pub(crate) fn open(
    root: &Path,
    protocol: ClassProtocol,
    regions: Regions,
) -> Result<Table, DataError> {
    // Copies of the later layout often carry the list of the first, whose photographs are called otherwise.
    let later = root.join(TRAINING).exists() && !root.join("car_ims").is_dir();
    let (names, lists) = if later {
        let test = TEST.iter().find(|name| root.join(name).exists());
        let lists = vec![
            (
                MatList::open(&root.join(TRAINING))?,
                Some(ListedSplit::Training),
            ),
            (
                MatList::open(&root.join(test.unwrap_or(&TEST[0])))?,
                Some(ListedSplit::Test),
            ),
        ];
        (MatList::open(&root.join(NAMES))?, lists)
    } else {
        let list = MatList::open(&root.join(MERGED))?;
        (list.clone(), vec![(list, None)])
    };

    let class_names = names.texts("class_names")?;
    if class_names.len() != CLASSES {
        let problem = format!("{} names for {CLASSES} classes", class_names.len());
        return Err(DataError::content(&names.path, "class_names", problem));
    }
    let class_names = class_names.into_iter().map(str::to_owned).collect();
    let mut first_seen = BTreeMap::new();
    let mut rows = Vec::new();
    for (list, part) in lists {
        rows.extend(photographs(
            &list,
            part,
            protocol,
            regions,
            &mut first_seen,
        )?);
    }
    check_files(root, &rows)?;
    let name = format!("cars196:{}", protocol.name());
    let mut table = Table::of_files(name, root, class_names, rows);
    table.class_ids = (1..=CLASSES).map(|class| class.to_string()).collect();
    Ok(table)
}

/// Which photographs a list of the later layout is about.
#[derive(Clone, Copy, PartialEq, Eq)]
enum ListedSplit {
    Training,
    Test,
}

/// The rows of a list. One without a part tells of each photograph which it belongs to.
fn photographs(
    list: &MatList,
    part: Option<ListedSplit>,
    protocol: ClassProtocol,
    regions: Regions,
    first_seen: &mut BTreeMap<PathBuf, String>,
) -> Result<Vec<Row>, DataError> {
    let numbers = |field, lowest, highest| list.field_numbers(LIST, field, lowest, highest);
    let (folder, field) = match part {
        None => ("", "relative_im_path"),
        Some(ListedSplit::Training) => ("cars_train", "fname"),
        Some(ListedSplit::Test) => ("cars_test", "fname"),
    };
    let files = list.field_texts(LIST, field)?;
    let classes = numbers("class", 1, CLASSES)?;
    let tested = match part {
        None => numbers("test", 0, 1)?,
        Some(part) => vec![usize::from(part == ListedSplit::Test); files.len()],
    };
    let corners = match regions {
        Regions::Whole => None,
        Regions::Annotated => {
            let corner = |field| numbers(field, 0, u32::MAX as usize);
            Some([
                corner("bbox_x1")?,
                corner("bbox_y1")?,
                corner("bbox_x2")?,
                corner("bbox_y2")?,
            ])
        }
    };
    let mut rows = Vec::with_capacity(files.len());
    for (position, file) in files.into_iter().enumerate() {
        let place = format!("{LIST} element {}", position + 1);
        let error = |problem| DataError::content(&list.path, place.clone(), problem);
        let path = Path::new(folder).join(relative(&list.path, &place, file)?);
        if let Some(earlier) = first_seen.insert(path.clone(), place.clone()) {
            return Err(error(format!("{} is {earlier} too", path.display())));
        }
        let label = classes[position] - 1;
        let split = protocol.split(label, CLASSES, tested[position] == 0);
        let mut row = Row::file(path, label, split);
        if let Some(corners) = &corners {
            let corners = [0, 1, 2, 3].map(|corner| corners[corner][position] as u32);
            let region = between(corners);
            row.region =
                Some(region.ok_or_else(|| error(format!("the box {corners:?} is empty")))?);
        }
        rows.push(row);
    }
    Ok(rows)
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::doctor::tests::photograph;
    use crate::mat::tests::{cells, file, structures, text, whole_numbers};
    use crate::table::{PixelBox, Split};

    /// A photograph in a list: file, class, whether it is tested on.
    type Entry = (&'static str, u16, bool);

    const ENTRIES: [Entry; 4] = [
        ("00001.jpg", 1, false),
        ("00002.jpg", 98, true),
        ("00003.jpg", 99, false),
        ("00004.jpg", 196, true),
    ];

    /// The variable `annotations`, with the fields in the publisher's order. Every box is `[39, 116] .. [50, 375]`.
    fn annotations(merged: bool, entries: &[Entry]) -> Vec<u8> {
        let mut names = vec!["bbox_x1", "bbox_y1", "bbox_x2", "bbox_y2", "class"];
        if merged {
            names.insert(0, "relative_im_path");
            names.push("test");
        } else {
            names.push("fname");
        }
        let values = entries.iter().flat_map(|&(path, class, tested)| {
            let number = |value| whole_numbers("", &[value]);
            let mut values = [39, 116, 50, 375, class].map(number).to_vec();
            if merged {
                values.insert(0, text("", path));
                values.push(number(u16::from(tested)));
            } else {
                values.push(text("", path));
            }
            values
        });
        structures(LIST, &names, &values.collect::<Vec<_>>())
    }

    fn class_names(count: usize) -> Vec<u8> {
        let names: Vec<Vec<u8>> = (1..=count)
            .map(|class| text("", &format!("Maker Model {class} 2012")))
            .collect();
        cells("class_names", &names)
    }

    fn write(folder: &Path, name: &str, bytes: &[u8]) {
        lodestone_files::write_whole(&folder.join(name), |file| file.write_all(bytes)).unwrap();
    }

    /// Four photographs of four classes in the first layout.
    pub(crate) fn merged() -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        let entries = ENTRIES.map(|(name, class, tested)| {
            let path = &*format!("car_ims/0{name}").leak();
            write(folder.path(), path, &photograph(class.into()));
            (path, class, tested)
        });
        let list = file(&[annotations(true, &entries), class_names(CLASSES)]);
        write(folder.path(), MERGED, &list);
        folder
    }

    /// The same in the later layout; the test list lies beside the devkit or in it.
    fn later(test_list: &str) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for (list, part, tested) in [(TRAINING, "train", false), (test_list, "test", true)] {
            let entries: Vec<Entry> = ENTRIES
                .into_iter()
                .filter(|entry| entry.2 == tested)
                .collect();
            for (name, class, _) in &entries {
                let path = format!("cars_{part}/{name}");
                write(folder.path(), &path, &photograph((*class).into()));
            }
            write(folder.path(), list, &file(&[annotations(false, &entries)]));
        }
        write(folder.path(), NAMES, &file(&[class_names(CLASSES)]));
        folder
    }

    fn rows(table: &Table) -> BTreeMap<usize, Split> {
        table
            .rows
            .iter()
            .map(|row| (row.label, row.split))
            .collect()
    }

    #[test]
    fn both_layouts_are_split_by_class_or_by_the_publishers_list() {
        use Split::{Test, Train};
        // The list of the first layout says nothing about the photographs of the later one.
        let with_both = later(TEST[0]);
        write(with_both.path(), MERGED, b"of other photographs");
        for folder in [merged(), later(TEST[0]), later(TEST[1]), with_both] {
            let metric = open(folder.path(), ClassProtocol::Metric, Regions::Whole).unwrap();
            assert_eq!(metric.name, "cars196:metric");
            let expected = [(0, Train), (97, Train), (98, Test), (195, Test)];
            assert_eq!(rows(&metric), BTreeMap::from(expected));
            assert_eq!(metric.classes(), 196);
            assert_eq!(metric.class_names[195], "Maker Model 196 2012");
            assert_eq!(metric.rows[0].region, None);

            let closed = open(folder.path(), ClassProtocol::Closed, Regions::Annotated).unwrap();
            let expected = [(0, Train), (97, Test), (98, Train), (195, Test)];
            assert_eq!(rows(&closed), BTreeMap::from(expected));
            let region = PixelBox {
                left: 38,
                top: 115,
                right: 50,
                bottom: 375,
            };
            assert_eq!(closed.rows[3].region, Some(region));
        }
    }

    #[test]
    fn bad_lists_are_named_with_file_element_and_value() {
        let first = "car_ims/000001.jpg";
        let list = |entries: &[Entry]| vec![annotations(true, entries), class_names(CLASSES)];
        let cases = [
            (
                list(&[(first, 197, false)]),
                "cars_annos.mat: annotations.class: element 1 is 197, not a whole number of 1..=196",
            ),
            (
                list(&[(first, 1, false), (first, 2, true)]),
                "annotations element 2: car_ims/000001.jpg is annotations element 1 too",
            ),
            (
                list(&[("../a.jpg", 1, false)]),
                "leaves the data set's folder",
            ),
            (
                list(&[("car_ims/gone.jpg", 1, false)]),
                "gone.jpg: listed file",
            ),
            (
                vec![annotations(true, &[]), class_names(3)],
                "class_names: 3 names for 196 classes",
            ),
            (
                vec![annotations(false, &ENTRIES), class_names(CLASSES)],
                "annotations: no field \"relative_im_path\", only [\"bbox_x1\"",
            ),
            (
                vec![whole_numbers(LIST, &[1]), class_names(CLASSES)],
                "annotations: holds numbers, a structure was expected",
            ),
        ];
        for (variables, expected) in cases {
            let folder = merged();
            write(folder.path(), MERGED, &file(&variables));
            let message = open(folder.path(), ClassProtocol::Metric, Regions::Annotated)
                .unwrap_err()
                .to_string();
            assert!(message.contains(expected), "{message}");
        }
    }

    #[test]
    fn the_classes_of_the_test_photographs_are_asked_for_by_name() {
        let folder = later("devkit/cars_test_annos.mat");
        let error = open(folder.path(), ClassProtocol::Metric, Regions::Whole).unwrap_err();
        assert!(error.to_string().contains(TEST[0]), "{error}");
    }
}
