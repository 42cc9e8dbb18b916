//! The page: everything computed, and written as one HTML file.

mod data;
mod html;
mod slots;

use std::fs::File;
use std::io::Read;
use std::path::Path;

use crate::answers::Answers;
use crate::confused::{Confused, confused};
use crate::material::{Material, Pictures};
use crate::sheets::Sheets;
use crate::strips::Strips;
use crate::{Layout, ReportError, map};

use self::slots::Slots;

/// How much is shown, and how.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Look {
    /// How the map is drawn.
    pub layout: Layout,
    /// Photographs of the map and of their neighbours that the page holds; what is worth looking at is always among them.
    /// 10 000 take about 10 MB.
    pub pictures: usize,
    /// Neighbours of each photograph.
    pub neighbours: usize,
    /// Best and worst queries, each.
    pub strips: usize,
    /// Pairs of classes that are mistaken.
    pub confused: usize,
    /// Modes shown; the largest, if there are more.
    pub clusters: usize,
    /// Seed of the map.
    pub seed: u64,
}

impl Default for Look {
    fn default() -> Self {
        Self {
            layout: Layout::default(),
            pictures: 20_000,
            neighbours: 8,
            strips: 12,
            confused: 20,
            clusters: 240,
            seed: 0,
        }
    }
}

/// Side of the photographs of strips and modes, in pixels.
const LARGE: u32 = 80;
/// Photographs of a mistake.
const EXAMPLES: usize = 6;
/// Exemplars of a mode.
const EXEMPLARS: usize = 8;

/// A page that is ready to be written.
#[derive(Debug, Clone)]
pub struct Page {
    title: String,
    /// What the script draws, as JSON.
    data: String,
    large: Sheets,
    small: Sheets,
}

/// What was found out about the material.
struct Findings {
    answers: Answers,
    points: Vec<[f32; 2]>,
    strips: Strips,
    confused: Vec<Confused>,
    /// Numbers of the clusters that are shown.
    clusters: Vec<usize>,
}

impl Page {
    /// Computes everything that the material does not bring along, and takes the photographs from `pictures`.
    ///
    /// The map and the neighbours come from exact searches over all pairs: 50 000 embeddings of 64 values take seconds.
    ///
    /// # Errors
    /// If a label or a row number of the material does not exist, an embedding is not finite, or the two sides have embeddings
    /// of different length.
    pub fn new(
        material: &Material,
        pictures: &dyn Pictures,
        look: &Look,
    ) -> Result<Self, ReportError> {
        material.check()?;
        let labels = material.queries.labels;
        let answers = Answers::new(material, look.neighbours.max(1))?;
        let findings = Findings {
            points: map(material.queries.rows, look.layout, look.seed)?,
            strips: Strips::new(&answers, labels, look.strips),
            confused: confused(&answers, labels, look.confused, EXAMPLES),
            clusters: shown_clusters(material, look.clusters),
            answers,
        };
        let slots = Slots::new(material, &findings, look.pictures);
        let small = match slots.small.len() {
            0..=2_500 => 64,
            2_501..=10_000 => 48,
            _ => 32,
        };
        Ok(Self {
            title: material.title.clone(),
            data: data::json(material, &findings, &slots),
            large: Sheets::new(pictures, slots.large.places(), LARGE)?,
            small: Sheets::new(pictures, slots.small.places(), small)?,
        })
    }

    /// The page, which needs no other file and no network.
    pub fn html(&self) -> String {
        html::write(self, html::Use::File)
    }

    /// Whether the file at `path` is such a page, which may be made again.
    pub fn made(path: &Path) -> bool {
        let mut beginning = vec![0; html::BEGINNING.len()];
        let read = File::open(path).and_then(|mut file| file.read_exact(&mut beginning));
        read.is_ok() && beginning == html::BEGINNING.as_bytes()
    }

    /// The same with a field to look up further photographs, for a server that answers `POST /search` with the JSON lines of
    /// `lodestone search`.
    pub fn served_html(&self) -> String {
        html::write(self, html::Use::Server)
    }
}

/// Numbers of the `most` largest clusters, class by class.
fn shown_clusters(material: &Material, most: usize) -> Vec<usize> {
    let clusters = &material.clusters;
    let mut numbers: Vec<usize> = (0..clusters.len()).collect();
    numbers.sort_by_key(|&number| std::cmp::Reverse(clusters[number].size));
    numbers.truncate(most);
    let key = |&number: &usize| {
        let cluster = &clusters[number];
        (cluster.class, std::cmp::Reverse(cluster.size), number)
    };
    numbers.sort_by_key(key);
    numbers
}

#[cfg(test)]
mod tests {
    use lodestone_eval::Rows;

    use super::*;
    use crate::{Cluster, Curve, NoPictures, Side};

    fn names(count: usize) -> Vec<String> {
        (0..count)
            .map(|n| format!("a \"b\" </script>/ü {n}.jpg"))
            .collect()
    }

    /// What stands between the marks of the page's data.
    fn data_of(html: &str) -> serde_json::Value {
        let start = "<script type=\"application/json\" id=\"data\">";
        let rest = html.split_once(start).unwrap().1;
        serde_json::from_str(rest.split_once("</script>").unwrap().0).unwrap()
    }

    #[test]
    fn a_page_has_its_data_inside_and_asks_for_nothing_outside() {
        let values: Vec<f32> = (0..40).map(|i| (i * 7 % 40) as f32).collect();
        let labels: Vec<usize> = (0..20).map(|i| i % 2).collect();
        let names = names(20);
        let classes = ["a<b>".to_owned(), "c".to_owned()];
        let queries = Side::new(Rows::new(&values, 2).unwrap(), &labels, &names).unwrap();
        let mut material = Material::new("Title & <co>", &classes, queries);
        material.clusters = vec![Cluster {
            class: 0,
            size: 3,
            radius: 1.0,
            nearest: Some((1, 2.5)),
            exemplars: vec![0, 2],
        }];
        material.cluster_of = vec![0; 20];
        material.curves = vec![Curve {
            name: "loss".into(),
            points: vec![(1.0, 2.0), (2.0, 1.0)],
        }];
        let page = Page::new(&material, &NoPictures, &Look::default()).unwrap();
        let html = page.html();
        assert!(html.contains("<title>Title &amp; &lt;co&gt;</title>"));
        for outside in ["http://", "https://", "src=\"", "@import"] {
            assert!(!html.contains(outside), "{outside}");
        }
        let data = data_of(&html);
        assert_eq!(data["classes"][0], "a<b>");
        assert_eq!(data["queries"]["names"][3], "a \"b\" </script>/ü 3.jpg");
        assert_eq!(data["curves"][0]["points"][1][1], 1.0);
        assert_eq!(data["clusters"][0]["exemplars"][1]["row"], 2);
        assert!(data["worst"].is_array());
        assert!(page.served_html().contains("id=\"search\""));
    }

    #[test]
    fn mistakes_of_the_caller_are_told_with_both_numbers() {
        let names = names(2);
        let classes = ["a".to_owned()];
        let rows = Rows::new(&[0.0, 1.0], 1).unwrap();
        let error = Side::new(rows, &[0], &names).unwrap_err().to_string();
        assert_eq!(error, "1 labels for 2 embeddings");
        let queries = Side::new(rows, &[0, 5], &names).unwrap();
        let material = Material::new("t", &classes, queries);
        let error = Page::new(&material, &NoPictures, &Look::default()).unwrap_err();
        assert_eq!(error.to_string(), "class 5 of 1: there is no such one");
    }
}
