//! Artifacts that cosign has signed, in both of its forms.

use harness::{CosignKey, Registry, RegistryOptions};
use lockgate_base::model::Secret;
use lockgate_git::oci::{OciRequest, SignatureKeys};
use lockgate_git::{FailureClass, SecretData};

use super::oci::{fetch, folder, request, tag};

fn keys(keys: &[&CosignKey]) -> SignatureKeys {
    let named = keys.iter().enumerate();
    let data = named
        .map(|(at, key)| (format!("key-{at}.pub"), Secret::new(key.public().as_bytes().to_vec())))
        .collect::<SecretData>();
    SignatureKeys::read("Secret n/keys", &data).unwrap()
}

#[tokio::test]
async fn an_artifact_is_taken_only_where_one_of_the_keys_has_signed_it() {
    let registry = Registry::start(RegistryOptions::default()).await.unwrap();
    let files = |text: &str| folder(&[("a.yaml", text)]);
    let push = |version: &str| registry.push("app", version, files(version).path(), "main@sha1:1").unwrap();
    let (own, other) = (CosignKey::make().unwrap(), CosignKey::make().unwrap());
    let (beside, bundled, foreign) = (push("beside"), push("bundled"), push("foreign"));
    push("unsigned");
    registry.sign("app", &beside, &own, false).unwrap();
    registry.sign("app", &bundled, &own, true).unwrap();
    registry.sign("app", &foreign, &other, false).unwrap();
    let ask = |version: &str, keys: SignatureKeys| {
        fetch(OciRequest { keys: Some(keys), reference: tag(version), ..request(&registry.url("app")) })
    };
    for version in ["beside", "bundled"] {
        assert!(ask(version, keys(&[&own])).await.is_ok(), "{version}");
        assert!(ask(version, keys(&[&other, &own])).await.is_ok(), "{version}: any of the keys will do");
    }
    let host = registry.address();
    let none = |digest: &str| {
        format!(
            "failed to verify the signature using provider 'cosign': no matching signatures were found for \
             'oci://{host}/app@{digest}': "
        )
    };
    for (version, key, digest, why) in [
        ("beside", &other, &beside, "none of those that there are (1) is by a key of Secret n/keys"),
        ("bundled", &other, &bundled, "none of those that there are (1) is by a key of Secret n/keys"),
        ("foreign", &own, &foreign, "none of those that there are (1) is by a key of Secret n/keys"),
    ] {
        let told = ask(version, keys(&[key])).await.unwrap_err();
        assert_eq!((told.class(), told.to_string()), (FailureClass::Unsigned, none(digest) + why));
    }
    let told = ask("unsigned", keys(&[&own])).await.unwrap_err().to_string();
    assert!(told.ends_with(": there are none"), "{told}");

    // A signature that somebody has copied from another artifact.
    let copied = registry.copy_signature("app", &beside, &foreign).unwrap();
    let told = ask("foreign", keys(&[&own])).await.unwrap_err().to_string();
    assert!(copied, "the registry took it");
    assert_eq!(told, none(&foreign) + "what a key of Secret n/keys has signed is another artifact");
}
