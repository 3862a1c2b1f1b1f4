//! Plain tables: aligned columns under a line of names, readable without colour and easy to cut.

use comfy_table::{CellAlignment, ContentArrangement, Table, presets};

/// A table under construction.
pub(crate) struct Columns {
    table: Table,
}

impl Columns {
    /// A table with these columns; those whose name begins with `>` are numbers, aligned to the right.
    pub(crate) fn new(names: &[&str]) -> Self {
        let mut table = Table::new();
        table.load_style(presets::NOTHING).set_content_arrangement(ContentArrangement::Disabled);
        table.set_header(names.iter().map(|n| n.trim_start_matches('>')));
        for (index, name) in names.iter().enumerate() {
            if let Some(column) = table.column_mut(index) {
                let left = if index == 0 { 2 } else { 1 };
                column.set_padding((left, 1));
                if name.starts_with('>') {
                    column.set_cell_alignment(CellAlignment::Right);
                }
            }
        }
        Columns { table }
    }

    /// Adds a row.
    pub(crate) fn row(&mut self, cells: impl IntoIterator<Item = String>) {
        self.table.add_row(cells.into_iter().collect::<Vec<_>>());
    }

    /// The lines, without trailing spaces.
    pub(crate) fn text(&self) -> String {
        let lines: Vec<String> = self.table.to_string().lines().map(|l| l.trim_end().to_owned()).collect();
        lines.join("\n") + "\n"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_aligned() {
        let mut table = Columns::new(&["name", ">cost", "plan"]);
        table.row(["a", "1", "x"].map(String::from));
        table.row(["bcd", "100", "y"].map(String::from));
        assert_eq!(table.text(), "  name  cost  plan\n  a        1  x\n  bcd    100  y\n");
    }
}
