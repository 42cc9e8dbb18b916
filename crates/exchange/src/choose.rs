//! Which of the arrays, tensors or columns of a file are the embeddings.

/// `wanted` if it is among `names`, else the only one that is not called `labels`.
///
/// # Errors
/// If there is no such one, with the names.
pub(crate) fn choose<'a>(what: &str, wanted: &str, names: &'a [String]) -> Result<&'a str, String> {
    if let Some(name) = names.iter().find(|name| *name == wanted) {
        return Ok(name);
    }
    let mut others = names.iter().filter(|name| *name != "labels");
    match (others.next(), others.next()) {
        (Some(name), None) => Ok(name),
        (None, _) => Err(format!("holds no {what} `{wanted}`")),
        (Some(_), Some(_)) => Err(format!(
            "holds no {what} `{wanted}`, only {}",
            names.join(", ")
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_decides_or_else_that_there_is_no_other() {
        let names = |list: &[&str]| list.iter().map(|&x| x.to_owned()).collect::<Vec<_>>();
        let chosen = |list: &[&str]| choose("array", "embeddings", &names(list)).map(str::to_owned);
        assert_eq!(chosen(&["x", "embeddings"]).unwrap(), "embeddings");
        assert_eq!(chosen(&["labels", "arr_0"]).unwrap(), "arr_0");
        assert_eq!(
            chosen(&["labels"]).unwrap_err(),
            "holds no array `embeddings`"
        );
        let error = chosen(&["x", "y"]).unwrap_err();
        assert_eq!(error, "holds no array `embeddings`, only x, y");
    }
}
