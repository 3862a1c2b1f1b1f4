//! An API key that cannot be printed.

use std::fmt;

use reqwest::header::HeaderValue;

use crate::{ModelError, ModelErrorKind};

/// A key read from the environment. It has no `Display`, its `Debug` shows stars, and [`ApiKey::redact`] removes it
/// from whatever a server says.
#[derive(Clone)]
pub(crate) struct ApiKey {
    key: String,
    header: HeaderValue,
}

impl ApiKey {
    /// Takes the key from the variable `name` of an environment.
    pub(crate) fn from_env(
        provider: &str,
        name: &str,
        env: &(dyn Fn(&str) -> Option<String> + Send + Sync),
    ) -> Result<Self, ModelError> {
        let missing = |what: &str| {
            ModelError::new(
                ModelErrorKind::MissingKey,
                format!("provider {provider:?}: the environment variable {name} {what}"),
            )
            .hint(format!("put the provider's API key into it: export {name}=..."))
        };
        let key = env(name).map(|key| key.trim().to_owned()).unwrap_or_default();
        if key.is_empty() {
            return Err(missing("is not set or empty"));
        }
        let mut header = HeaderValue::try_from(format!("Bearer {key}"))
            .map_err(|_| missing("holds characters that no HTTP header may hold"))?;
        header.set_sensitive(true);
        Ok(ApiKey { key, header })
    }

    /// The value of the `Authorization` header, marked as sensitive.
    pub(crate) fn header(&self) -> HeaderValue {
        self.header.clone()
    }

    /// The text with every occurrence of the key replaced by stars.
    pub(crate) fn redact(&self, text: &str) -> String {
        text.replace(&self.key, "***")
    }
}

impl fmt::Debug for ApiKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ApiKey(***)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_key_names_the_variable() {
        for value in [None, Some("  ".to_owned())] {
            let error = ApiKey::from_env("cloud", "CLOUD_KEY", &|_| value.clone()).unwrap_err();
            assert_eq!(error.kind, ModelErrorKind::MissingKey);
            assert!(error.message.contains("CLOUD_KEY") && error.message.contains("cloud"), "{error}");
        }
    }

    #[test]
    fn a_key_is_never_shown() {
        let key = ApiKey::from_env("p", "K", &|_| Some("sk-secret\n".into())).unwrap();
        assert_eq!(format!("{key:?}"), "ApiKey(***)");
        assert!(!format!("{:?}", key.header()).contains("secret"));
        assert_eq!(key.redact("bad key sk-secret!"), "bad key ***!");
        let error = ApiKey::from_env("p", "K", &|_| Some("sk-\u{1}secret".into())).unwrap_err();
        assert!(!format!("{error:?}").contains("secret"));
    }
}
