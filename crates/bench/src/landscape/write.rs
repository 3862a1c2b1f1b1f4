//! Writes a table in the format that `read_landscape` reads.

use std::fmt::Write as _;

use super::table::Table;

/// The table's two files: the text of `NAME.csv` and of `NAME.toml`.
pub fn write_landscape(table: &Table) -> (String, String) {
    (plans(table), header(table))
}

fn plans(table: &Table) -> String {
    let mut columns: Vec<String> = table
        .stages
        .iter()
        .flat_map(|s| [format!("{}.model", s.name), format!("{}.samples", s.name)])
        .map(|c| quoted(&c))
        .collect();
    columns.extend(["score".to_owned(), "cost".to_owned()]);
    let mut csv = columns.join(",") + "\n";
    for row in &table.rows {
        for (&(model, samples), stage) in row.choices.iter().zip(&table.stages) {
            let _ = write!(csv, "{},{samples},", quoted(&stage.models[model].name));
        }
        let _ = writeln!(csv, "{},{}", row.score, row.cost);
    }
    csv
}

fn quoted(field: &str) -> String {
    if field.contains([',', '"', '\n', '\r']) {
        format!("\"{}\"", field.replace('"', "\"\""))
    } else {
        field.to_owned()
    }
}

fn header(table: &Table) -> String {
    let text = |s: &str| toml::Value::String(s.to_owned()).to_string();
    let mut out = format!(
        "name = {}\nnote = {}\nobjective = \"maximise\"\nbudget = {}\ncost_unit = \"{}\"\nnoise_examples = {}\n",
        text(&table.name),
        text(&table.note),
        table.budget,
        table.cost_model,
        table.noise_examples,
    );
    for stage in &table.stages {
        let _ = write!(out, "\n[[stages]]\nname = {}\n", text(&stage.name));
        for (key, tokens) in [("prompt_tokens", stage.prompt_tokens), ("decode_tokens", stage.decode_tokens)] {
            if let Some(tokens) = tokens {
                let _ = writeln!(out, "{key} = {tokens}");
            }
        }
        out.push_str("models = [\n");
        for model in &stage.models {
            let params = model.params_b.map(|p| format!(", params_b = {p}")).unwrap_or_default();
            let _ = writeln!(out, "  {{ name = {}{params} }},", text(&model.name));
        }
        out.push_str("]\n");
    }
    out
}
