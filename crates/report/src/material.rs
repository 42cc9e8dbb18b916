//! What a page is made of.

use image::RgbImage;
use lodestone_eval::{Report, Rows};

use crate::{Curve, ReportError};

/// Embeddings of some photographs, with the class and the name of each.
#[derive(Debug, Clone, Copy)]
pub struct Side<'a> {
    pub(crate) rows: Rows<'a>,
    pub(crate) labels: &'a [usize],
    pub(crate) names: &'a [String],
}

impl<'a> Side<'a> {
    /// Row `i` is a photograph of class `labels[i]` called `names[i]`.
    ///
    /// # Errors
    /// If there is not one label and one name a row.
    pub fn new(
        rows: Rows<'a>,
        labels: &'a [usize],
        names: &'a [String],
    ) -> Result<Self, ReportError> {
        for (what, entries) in [("labels", labels.len()), ("names", names.len())] {
            if entries != rows.len() {
                let rows = rows.len();
                return Err(ReportError::Count {
                    what,
                    entries,
                    rows,
                });
            }
        }
        Ok(Self {
            rows,
            labels,
            names,
        })
    }
}

/// A mode of a class.
#[derive(Debug, Clone, PartialEq)]
pub struct Cluster {
    /// Its class.
    pub class: usize,
    /// Number of its members.
    pub size: usize,
    /// Root of the mean squared distance of its members to the centre.
    pub radius: f64,
    /// The class of the nearest centre of another class, and the distance to it.
    pub nearest: Option<(usize, f64)>,
    /// The members that show it best: rows of the gallery, or of the queries where there is no gallery.
    pub exemplars: Vec<usize>,
}

/// Everything that a page shows, but for the photographs themselves.
#[derive(Debug, Clone)]
pub struct Material<'a> {
    /// The heading.
    pub title: String,
    /// Lines under the heading: name and text.
    pub facts: Vec<(String, String)>,
    /// Names of the classes, by label.
    pub class_names: &'a [String],
    /// The photographs on the map, each of which looks for its like.
    pub queries: Side<'a>,
    /// Where they look; among each other if there is none.
    pub gallery: Option<Side<'a>>,
    /// Modes of the classes; may be empty.
    pub clusters: Vec<Cluster>,
    /// Cluster of each query; empty if there are none.
    pub cluster_of: Vec<usize>,
    /// Numbers, if they were computed.
    pub report: Option<Report>,
    /// What the run logged; may be empty.
    pub curves: Vec<Curve>,
}

impl<'a> Material<'a> {
    /// Photographs that look for each other, and nothing else.
    pub fn new(title: impl Into<String>, class_names: &'a [String], queries: Side<'a>) -> Self {
        Self {
            title: title.into(),
            facts: Vec::new(),
            class_names,
            queries,
            gallery: None,
            clusters: Vec::new(),
            cluster_of: Vec::new(),
            report: None,
            curves: Vec::new(),
        }
    }

    /// The photographs that are found.
    pub(crate) fn found(&self) -> Side<'a> {
        self.gallery.unwrap_or(self.queries)
    }

    /// Where row `row` of the photographs that are found stands.
    pub(crate) fn place(&self, row: usize) -> Place {
        match self.gallery {
            Some(_) => Place::Gallery(row),
            None => Place::Query(row),
        }
    }

    pub(crate) fn check(&self) -> Result<(), ReportError> {
        let within = |what, number: usize, count: usize| match number < count {
            true => Ok(()),
            false => Err(ReportError::Number {
                what,
                number,
                count,
            }),
        };
        let classes = self.class_names.len();
        for &label in self.queries.labels.iter().chain(self.found().labels) {
            within("class", label, classes)?;
        }
        for cluster in &self.clusters {
            within("class", cluster.class, classes)?;
            for &row in &cluster.exemplars {
                within("row", row, self.found().rows.len())?;
            }
        }
        for &cluster in &self.cluster_of {
            within("cluster", cluster, self.clusters.len())?;
        }
        let (entries, rows) = (self.cluster_of.len(), self.queries.rows.len());
        if entries != 0 && entries != rows {
            return Err(ReportError::Count {
                what: "clusters",
                entries,
                rows,
            });
        }
        Ok(())
    }
}

/// A photograph by its row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Place {
    /// One of those on the map.
    Query(usize),
    /// One of those that are looked through.
    Gallery(usize),
}

/// Lends the photographs; the page knows no files.
pub trait Pictures: Sync {
    /// The middle square of a photograph at `side` pixels, or nothing if it cannot be shown.
    fn square(&self, place: Place, side: u32) -> Option<RgbImage>;
}

/// Where there are only embeddings.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoPictures;

impl Pictures for NoPictures {
    fn square(&self, _: Place, _: u32) -> Option<RgbImage> {
        None
    }
}
