//! In-Shop Clothes Retrieval, a part of DeepFashion: 7982 pieces of clothing, each photographed several times.
//!
//! Liu et al., *DeepFashion: powering robust clothes recognition and retrieval with rich annotations*, CVPR 2016. One list says
//! of each photograph which piece it shows and whether it trains, asks or is looked for; no piece that trains is asked for.

use std::collections::BTreeMap;
use std::path::Path;

use super::paths::check_files;
use super::text_lists::TextList;
use super::voc::{Regions, between};
use crate::error::DataError;
use crate::table::{PixelBox, Roles, Row, Split, Table};

/// Where the list of photographs may lie.
pub(crate) const LISTS: [&str; 2] = ["Eval/list_eval_partition.txt", "list_eval_partition.txt"];
const COLUMNS: &str = "image_name item_id evaluation_status";
/// Where the list of rectangles may lie.
const BOX_LISTS: [&str; 2] = ["Anno/list_bbox_inshop.txt", "list_bbox_inshop.txt"];
const BOX_COLUMNS: &str = "image_name clothes_type pose_type x_1 y_1 x_2 y_2";

/// Reads the list of photographs; rows are in its order, labels are ranks of the item ids.
pub(crate) fn open(root: &Path, regions: Regions) -> Result<Table, DataError> {
    let there = |names: [&'static str; 2]| names.into_iter().find(|name| root.join(name).exists());
    let list = TextList::open(&root.join(there(LISTS).unwrap_or(LISTS[0])))?;
    let box_list = match regions {
        Regions::Whole => None,
        Regions::Annotated => Some(there(BOX_LISTS)),
    };
    let boxes = match box_list {
        Some(Some(name)) => rectangles(&root.join(name))?,
        _ => BTreeMap::new(),
    };
    // The publisher's archive of photographs is unpacked beside the lists or where it lies.
    let folder = if root.join("Img/img").is_dir() {
        "Img"
    } else {
        ""
    };

    let mut first_seen = BTreeMap::new();
    let mut items = Vec::new();
    let mut rows = Vec::new();
    for line in list.counted(COLUMNS)? {
        let [path, item, status] = line.fields()?;
        if let Some(earlier) = first_seen.insert(path.to_owned(), line.number) {
            return Err(line.error(format!("{path} stands in line {earlier} too")));
        }
        let (split, query, gallery) = match status {
            "train" => (Split::Train, false, false),
            "query" => (Split::Test, true, false),
            "gallery" => (Split::Test, false, true),
            _ => {
                let problem =
                    format!("evaluation_status {status:?} is not train, query or gallery");
                return Err(line.error(problem));
            }
        };
        let mut row = Row::file(Path::new(folder).join(line.path(path)?), 0, split);
        row.roles = (split == Split::Test).then_some(Roles { query, gallery });
        row.region = boxes.get(path).copied();
        items.push(item.to_owned());
        rows.push(row);
    }
    let mut ids = items.clone();
    ids.sort();
    ids.dedup();
    for (row, item) in rows.iter_mut().zip(&items) {
        row.label = ids.partition_point(|id| id < item);
    }
    check_files(root, &rows)?;
    let mut table = Table::of_files("in-shop", root, ids, rows);
    if box_list == Some(None) {
        let notice = format!("photographs are whole: {} is not there", BOX_LISTS[0]);
        table.notices.push(notice);
    }
    Ok(table)
}

/// The annotated rectangles by photograph.
fn rectangles(path: &Path) -> Result<BTreeMap<String, PixelBox>, DataError> {
    let list = TextList::open(path)?;
    let mut boxes = BTreeMap::new();
    for line in list.counted(BOX_COLUMNS)? {
        let [name, _clothes, _pose, corners @ ..] = line.fields::<7>()?;
        let mut numbers = [0; 4];
        for (number, field) in numbers.iter_mut().zip(corners) {
            *number = line.whole("corner", field, 0..=u32::MAX as usize)? as u32;
        }
        let region = between(numbers)
            .ok_or_else(|| line.error(format!("the rectangle {numbers:?} is empty")))?;
        if boxes.insert(name.to_owned(), region).is_some() {
            return Err(line.error(format!("{name} has a rectangle already")));
        }
    }
    Ok(boxes)
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::doctor::tests::photograph;

    const LIST: &str = "5\nimage_name item_id evaluation_status\n\
        img/WOMEN/Dresses/id_00000002/02_1_front.jpg id_00000002 train\n\
        img/WOMEN/Dresses/id_00000002/02_2_side.jpg  id_00000002 train\n\
        img/MEN/Tees/id_00000003/01_1_front.jpg      id_00000003 gallery\n\
        img/WOMEN/Tees/id_00000001/01_1_front.jpg    id_00000001 query\n\
        img/WOMEN/Tees/id_00000001/01_3_back.jpg     id_00000001 gallery\n";
    const BOXES: &str = "2\nimage_name clothes_type pose_type x_1 y_1 x_2 y_2\n\
        img/WOMEN/Dresses/id_00000002/02_1_front.jpg 3 1 50 49 208 235\n\
        img/WOMEN/Tees/id_00000001/01_1_front.jpg    1 1 0 1 64 64\n";

    fn write(folder: &Path, name: &str, bytes: &[u8]) {
        lodestone_files::write_whole(&folder.join(name), |file| file.write_all(bytes)).unwrap();
    }

    /// Five photographs of three pieces, below `images`.
    pub(crate) fn folder(list: &str, images: &str) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        write(folder.path(), list, LIST.as_bytes());
        for (number, line) in LIST.lines().skip(2).enumerate() {
            let path = format!("{images}{}", line.split(' ').next().unwrap());
            write(folder.path(), &path, &photograph(number as u32));
        }
        folder
    }

    #[test]
    fn the_list_says_what_trains_asks_and_is_looked_for() {
        for folder in [folder(LISTS[0], ""), folder(LISTS[1], "Img/")] {
            let table = open(folder.path(), Regions::Whole).unwrap();
            assert_eq!(
                table.class_names,
                ["id_00000001", "id_00000002", "id_00000003"]
            );
            assert_eq!(table.labels(&[0, 1, 2, 3, 4]), [1, 1, 2, 0, 0]);
            assert_eq!(table.split(Split::Train), [0, 1]);
            assert_eq!(table.split(Split::Test), [2, 3, 4]);
            let roles = |query, gallery| Some(Roles { query, gallery });
            let found: Vec<Option<Roles>> = table.rows.iter().map(|row| row.roles).collect();
            let (asks, waits) = (roles(true, false), roles(false, true));
            assert_eq!(found, [None, None, waits, asks, waits]);
            assert!(table.notices.is_empty());
        }
    }

    #[test]
    fn rectangles_are_taken_where_their_list_has_them() {
        let folder = folder(LISTS[0], "");
        let without = open(folder.path(), Regions::Annotated).unwrap();
        assert_eq!(without.rows[0].region, None);
        assert_eq!(
            without.notices,
            ["photographs are whole: Anno/list_bbox_inshop.txt is not there"]
        );
        for name in BOX_LISTS {
            write(folder.path(), name, BOXES.as_bytes());
            let table = open(folder.path(), Regions::Annotated).unwrap();
            let region = |left, top, right, bottom| {
                Some(PixelBox {
                    left,
                    top,
                    right,
                    bottom,
                })
            };
            assert_eq!(table.rows[0].region, region(49, 48, 208, 235));
            assert_eq!(table.rows[1].region, None);
            assert_eq!(table.rows[3].region, region(0, 0, 64, 64));
            assert_eq!(
                open(folder.path(), Regions::Whole).unwrap().rows[0].region,
                None
            );
            std::fs::remove_file(folder.path().join(name)).unwrap();
        }
    }

    #[test]
    fn bad_lines_are_named_with_file_line_and_value() {
        const HEADER: &str = "image_name item_id evaluation_status";
        let photograph = "img/WOMEN/Tees/id_00000001/01_1_front.jpg";
        let list = |count: &str, lines: &str| format!("{count}\n{HEADER}\n{lines}\n");
        let cases = [
            (
                String::new(),
                "list_eval_partition.txt: header: the number of lines is missing",
            ),
            (
                list("many", ""),
                "line 1: number of lines \"many\" is not a whole number",
            ),
            (
                format!("1\n{photograph} id train"),
                "line 2: the columns are \"img/",
            ),
            ("1\n".to_owned(), "header: the columns"),
            (
                list("2", "a id train"),
                "line 1: 2 lines are announced, 1 follow",
            ),
            (list("1", "a id"), "line 3: 2 fields instead of 3"),
            (
                list("1", "a id validation"),
                "line 3: evaluation_status \"validation\" is not train, query or gallery",
            ),
            (
                list(
                    "2",
                    &format!("{photograph} id query\n{photograph} id gallery"),
                ),
                "line 4: img/WOMEN/Tees/id_00000001/01_1_front.jpg stands in line 3 too",
            ),
            (
                list("1", "/etc/a.jpg id train"),
                "line 3: the path \"/etc/a.jpg\" leaves",
            ),
            (list("1", "img/gone.jpg id train"), "gone.jpg: listed file"),
        ];
        for (text, expected) in cases {
            let folder = folder(LISTS[0], "");
            write(folder.path(), LISTS[0], text.as_bytes());
            let message = open(folder.path(), Regions::Whole).unwrap_err().to_string();
            assert!(message.contains(expected), "{message}");
        }
        for (row, expected) in [
            (
                "a 1 1 5 5 x 9",
                "line 3: corner \"x\" is not a whole number",
            ),
            (
                "a 1 1 9 5 5 9",
                "line 3: the rectangle [9, 5, 5, 9] is empty",
            ),
        ] {
            let folder = folder(LISTS[0], "");
            let text = format!("1\nimage_name clothes_type pose_type x_1 y_1 x_2 y_2\n{row}\n");
            write(folder.path(), BOX_LISTS[0], text.as_bytes());
            let message = open(folder.path(), Regions::Annotated)
                .unwrap_err()
                .to_string();
            assert!(message.contains("list_bbox_inshop.txt"), "{message}");
            assert!(message.contains(expected), "{message}");
        }
    }

    #[test]
    fn a_copy_without_its_list_names_the_place_where_it_belongs() {
        let message = open(Path::new("/nowhere"), Regions::Whole)
            .unwrap_err()
            .to_string();
        assert!(
            message.contains("/nowhere/Eval/list_eval_partition.txt"),
            "{message}"
        );
    }
}
