use std::io::Cursor;

use proptest::prelude::*;

use super::*;

/// A GGUF file, built by hand.
struct Handmade {
    keys: Vec<(&'static str, Vec<u8>)>,
    tensors: Vec<(&'static str, Vec<u64>, u32, u64)>,
    data: usize,
}

fn string(text: &str) -> Vec<u8> {
    [&(text.len() as u64).to_le_bytes()[..], text.as_bytes()].concat()
}

fn text_value(text: &str) -> Vec<u8> {
    [&8u32.to_le_bytes()[..], &string(text)].concat()
}

fn number_value(n: u32) -> Vec<u8> {
    [4u32.to_le_bytes(), n.to_le_bytes()].concat()
}

fn vocabulary(tokens: &[&str]) -> Vec<u8> {
    let mut bytes = [&9u32.to_le_bytes()[..], &8u32.to_le_bytes(), &(tokens.len() as u64).to_le_bytes()].concat();
    tokens.iter().for_each(|t| bytes.extend(string(t)));
    bytes
}

impl Handmade {
    /// Two layers of width 8: an embedding of 4 x 8 and one weight of 8 x 32, both F32.
    fn tiny() -> Self {
        Handmade {
            keys: vec![
                ("general.architecture", text_value("llama")),
                ("general.name", text_value("Tiny")),
                ("general.license", text_value("mit")),
                ("llama.block_count", number_value(2)),
                ("llama.embedding_length", number_value(8)),
                ("llama.context_length", number_value(512)),
                ("llama.attention.head_count", number_value(2)),
                ("llama.attention.head_count_kv", number_value(1)),
                ("tokenizer.ggml.tokens", vocabulary(&["a", "b", "c", "<end>"])),
                ("tokenizer.chat_template", text_value("{{ messages }}")),
            ],
            tensors: vec![("token_embd.weight", vec![8, 4], 0, 0), ("blk.0.ffn.weight", vec![8, 32], 0, 128)],
            data: 128 + 1024,
        }
    }

    fn bytes(&self) -> Vec<u8> {
        let mut b = b"GGUF".to_vec();
        b.extend(3u32.to_le_bytes());
        b.extend((self.tensors.len() as u64).to_le_bytes());
        b.extend((self.keys.len() as u64).to_le_bytes());
        for (key, value) in &self.keys {
            b.extend(string(key));
            b.extend(value);
        }
        for (name, dimensions, kind, offset) in &self.tensors {
            b.extend(string(name));
            b.extend((dimensions.len() as u32).to_le_bytes());
            dimensions.iter().for_each(|d| b.extend(d.to_le_bytes()));
            b.extend(kind.to_le_bytes());
            b.extend(offset.to_le_bytes());
        }
        b.resize(b.len().next_multiple_of(32) + self.data, 0);
        b
    }
}

/// The bytes of a small valid file.
pub(crate) fn tiny_file() -> Vec<u8> {
    Handmade::tiny().bytes()
}

fn read(bytes: &[u8]) -> Result<GgufFacts, GgufError> {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("model.gguf");
    std::fs::write(&path, bytes).unwrap();
    read_gguf(&path)
}

#[test]
fn facts_of_a_handmade_file() {
    let facts = read(&Handmade::tiny().bytes()).unwrap();
    assert_eq!(facts.name.as_deref(), Some("Tiny"));
    assert_eq!(facts.licence.as_deref(), Some("mit"));
    assert_eq!((facts.params, facts.non_embedding_params), (32 + 256, 256));
    assert_eq!((facts.layers, facts.width, facts.context, facts.vocabulary), (2, 8, 512, 4));
    // 2 layers x 1 KV head x (4 + 4) x 2 bytes
    assert_eq!(facts.kv_bytes_per_token, 32);
    assert_eq!(facts.chat_template.as_deref(), Some("{{ messages }}"));
}

#[test]
fn other_files_are_named_as_such() {
    assert!(read(b"PK\x03\x04 a zip").unwrap_err().to_string().contains("not a GGUF file"));
    assert!(read(b"").unwrap_err().to_string().contains("empty"));
    assert!(read(b"<!doctype html>").unwrap_err().to_string().contains("begins with `<!do`"));
    let mut old = Handmade::tiny().bytes();
    old[4] = 1;
    assert!(matches!(read(&old).unwrap_err(), GgufError::Version { version: 1, .. }));
    assert!(matches!(read_gguf(Path::new("/nonexistent/m.gguf")).unwrap_err(), GgufError::Io { .. }));
    assert!(read_gguf(&std::env::temp_dir()).unwrap_err().to_string().contains("not a regular file"));
}

#[test]
fn a_file_cut_anywhere_is_truncated() {
    let whole = Handmade::tiny().bytes();
    for len in (8..whole.len()).step_by(7) {
        let error = read(&whole[..len]).unwrap_err();
        assert!(matches!(error, GgufError::Truncated { .. }), "{len}: {error}");
    }
    let error = read(&whole[..whole.len() - 1]).unwrap_err().to_string();
    assert!(error.contains("tensor `blk.0.ffn.weight` ends at byte"), "{error}");
}

#[test]
fn impossible_sizes_are_refused_without_allocating() {
    let mut file = Handmade::tiny();
    file.tensors[0].1 = vec![u64::MAX, 4];
    assert!(read(&file.bytes()).unwrap_err().to_string().contains("impossible size"));
    let mut file = Handmade::tiny();
    file.keys[1].1 = [&8u32.to_le_bytes()[..], &u64::MAX.to_le_bytes()].concat();
    assert!(matches!(read(&file.bytes()).unwrap_err(), GgufError::Truncated { .. }));
    let mut file = Handmade::tiny();
    file.keys.remove(8);
    assert!(read(&file.bytes()).unwrap_err().to_string().contains("vocabulary is missing"));
}

proptest! {
    #[test]
    fn random_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..600)) {
        let len = bytes.len() as u64;
        let _ = parse(BufReader::new(Cursor::new(bytes)), len);
    }

    #[test]
    fn damaged_headers_never_panic(at in 4usize..700, with in any::<[u8; 8]>()) {
        let mut bytes = Handmade::tiny().bytes();
        let end = (at + 8).min(bytes.len());
        if at < end {
            bytes[at..end].copy_from_slice(&with[..end - at]);
        }
        let len = bytes.len() as u64;
        if let Ok(header) = parse(BufReader::new(Cursor::new(bytes)), len) {
            let _ = facts(&header, len);
        }
    }
}
