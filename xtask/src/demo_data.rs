//! The data of the demo pipeline: customers, shops and prices, made by a seeded generator.
//!
//! A question names a shop and two things to buy there; the records are the price lists of several shops, of which one
//! is needed. The answer is the total. The committed files are this generator's output, byte for byte: it uses its own
//! random numbers, so that no update of a library changes the data.

use std::collections::HashSet;
use std::fs;

use anyhow::{Context, Result};

use crate::run::{root, say};

/// Where the files lie, from the repository's root.
const FOLDER: &str = "pipelines/demo/data";

/// The seed of the committed files.
const SEED: u64 = 2508;

/// Files and their numbers of examples. The pipeline uses fewer; the rest is for larger runs.
const SPLITS: [(&str, usize); 2] = [("search.jsonl", 120), ("test.jsonl", 180)];

/// Shops of an example.
const SHOPS: usize = 6;
/// Things that each of them sells.
const WARES: usize = 3;
/// Things that the customer buys.
const BOUGHT: usize = 2;
/// Lowest and highest price, in dollars.
const PRICES: (u64, u64) = (3, 19);
/// Least and most pieces of one thing.
const PIECES: (u64, u64) = (2, 9);

const FIRST: [&str; 16] = [
    "Fern", "Blue", "Maple", "River", "Stone", "Silver", "Corner", "Sunny", "Old", "North", "Cedar", "Amber", "Harbor",
    "Willow", "Copper", "Lucky",
];
const SECOND: [&str; 10] =
    ["Market", "Anchor", "Bazaar", "Depot", "Store", "Goods", "Supply", "Outlet", "Pantry", "Trading"];
const NAMES: [&str; 12] = ["Mia", "Omar", "Lena", "Theo", "Ivy", "Noah", "Zara", "Finn", "Ada", "Hugo", "Nina", "Sam"];
const THINGS: [&str; 14] = [
    "pens", "mugs", "lamps", "bowls", "kites", "towels", "candles", "brushes", "baskets", "scarves", "plates", "ropes",
    "caps", "vases",
];

/// Writes the files of the demo pipeline.
pub(crate) fn demo_data() -> Result<()> {
    for (file, text) in files() {
        let path = root().join(FOLDER).join(file);
        fs::write(&path, text).with_context(|| format!("{} cannot be written", path.display()))?;
        say(&format!("wrote {}", path.display()));
    }
    Ok(())
}

/// All files: name and text. No question occurs twice, in one file or in two.
fn files() -> Vec<(&'static str, String)> {
    let mut random = Random(SEED);
    let mut asked = HashSet::new();
    let mut files = Vec::new();
    for (file, count) in SPLITS {
        let split = file.trim_end_matches(".jsonl");
        let mut text = String::new();
        let mut made = 0;
        while made < count {
            let example = Example::draw(&mut random);
            if asked.insert(example.question.clone()) {
                made += 1;
                text.push_str(&example.json(&format!("{split}-{made:03}")));
                text.push('\n');
            }
        }
        files.push((file, text));
    }
    files
}

struct Example {
    question: String,
    /// Titles and price lists.
    shops: Vec<(String, Vec<(&'static str, u64)>)>,
    /// The index of the shop that the question names.
    gold: usize,
    answer: u64,
}

impl Example {
    fn draw(random: &mut Random) -> Self {
        // Every word of a title is one shop's only, so that a title read half right is not another shop's.
        let (first, second) = (random.sample(&FIRST, SHOPS), random.sample(&SECOND, SHOPS));
        let wares = random.sample(&THINGS, WARES);
        let mut shops = Vec::new();
        for (a, b) in first.into_iter().zip(second) {
            let prices = random.sample(&wares, WARES).into_iter().map(|w| (w, random.between(PRICES)));
            shops.push((format!("{a} {b}"), prices.collect::<Vec<_>>()));
        }
        let gold = random.below(SHOPS as u64) as usize;
        let pieces: Vec<u64> = (PIECES.0..=PIECES.1).collect();
        let pieces = random.sample(&pieces, BOUGHT);
        let bought = random.sample(&wares, BOUGHT);
        let price = |thing: &str| shops[gold].1.iter().find(|(w, _)| *w == thing).map_or(0, |(_, price)| *price);
        let answer = bought.iter().zip(&pieces).map(|(thing, n)| price(thing) * n).sum();
        let parts: Vec<String> = bought.iter().zip(&pieces).map(|(thing, n)| format!("{n} {thing}")).collect();
        let question = ask(random, &list(&parts), &shops[gold].0);
        Example { question, shops, gold, answer }
    }

    /// One line of JSON. All texts are plain ASCII without quotes, for which Rust's escapes are JSON's.
    fn json(&self, id: &str) -> String {
        let records = self.shops.iter().enumerate().map(|(i, (title, prices))| {
            let prices: Vec<String> = prices.iter().map(|(ware, price)| format!("{ware} ${price}")).collect();
            format!(r#"{{"id": "r{}", "title": {title:?}, "text": {:?}}}"#, i + 1, prices.join(", "))
        });
        let records: Vec<String> = records.collect();
        format!(
            r#"{{"id": {id:?}, "question": {:?}, "records": [{}], "gold_ids": ["r{}"], "answer": {}}}"#,
            self.question,
            records.join(", "),
            self.gold + 1,
            self.answer
        )
    }
}

fn ask(random: &mut Random, things: &str, shop: &str) -> String {
    match random.below(4) {
        0 => format!("How much are {things} at {shop}?"),
        1 => format!("What do {things} cost at {shop}?"),
        2 => format!("At {shop}, how much are {things}?"),
        _ => format!("{} buys {things} at {shop}. How much is it?", NAMES[random.below(NAMES.len() as u64) as usize]),
    }
}

/// `a, b and c`.
fn list(parts: &[String]) -> String {
    match parts.split_last() {
        Some((last, rest)) if !rest.is_empty() => format!("{} and {last}", rest.join(", ")),
        _ => parts.concat(),
    }
}

/// SplitMix64 (Steele, Lea and Flood 2014).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `end`, by the high half of a product; its bias of `end / 2^64` is of no account here.
    fn below(&mut self, end: u64) -> u64 {
        ((u128::from(self.next()) * u128::from(end)) >> 64) as u64
    }

    fn between(&mut self, (low, high): (u64, u64)) -> u64 {
        low + self.below(high - low + 1)
    }

    /// `count` of these in random order, none twice.
    fn sample<T: Copy>(&mut self, all: &[T], count: usize) -> Vec<T> {
        let mut left = all.to_vec();
        (0..count).map(|_| left.swap_remove(self.below(left.len() as u64) as usize)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_committed_files_are_the_generators_output() {
        for (file, text) in files() {
            let committed = fs::read_to_string(root().join(FOLDER).join(file)).unwrap();
            assert!(committed == text, "{file} differs: run `cargo xtask demo-data`");
        }
    }

    #[test]
    fn the_random_numbers_are_the_published_ones() {
        let mut random = Random(1_234_567);
        assert_eq!([random.next(), random.next()], [6_457_827_717_110_365_317, 3_203_168_211_198_807_973]);
    }

    #[test]
    fn every_question_has_its_answer_in_the_gold_record_alone() {
        let mut random = Random(1);
        for _ in 0..500 {
            let example = Example::draw(&mut random);
            let named: Vec<usize> =
                (0..SHOPS).filter(|&i| example.question.contains(example.shops[i].0.as_str())).collect();
            assert_eq!(named, [example.gold], "{}", example.question);
            // Read the question again as a person would: a number, and the thing after it.
            let words: Vec<&str> = example.question.split(|c: char| !c.is_alphanumeric()).collect();
            let price = |thing: &str| example.shops[example.gold].1.iter().find(|(w, _)| *w == thing).unwrap().1;
            let total: u64 =
                words.windows(2).filter_map(|pair| Some(pair[0].parse::<u64>().ok()? * price(pair[1]))).sum();
            assert_eq!(total, example.answer, "{}", example.question);
        }
    }
}
