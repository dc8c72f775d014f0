//! Every field of every kind that lockgate acts on is served, or refused by its name; none is ignored
//! silently.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::super::{build, gather, supported};
use super::fake::Fake;
use super::kustomization;
use crate::api::{
    GitRepositorySpec, HelmChartSpec, HelmReleaseSpec, HelmRepositorySpec, KINDS, Kind, KustomizationSpec,
    OciRepositorySpec, Resource, decode, tests,
};
use crate::pipeline::ByHand;
use crate::verdict::Redactor;
use lockgate_base::tree::Tree;

use Fate::{Inert, Refused, Served};

/// The treatment of a field, and of all fields below it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    /// It has the same effect as in Flux, which the test of that name shows.
    Served(&'static str),
    /// An object that sets it is refused, and told so by the field's name.
    Refused,
    /// It does nothing in Flux either.
    Inert,
}

/// The test that shows each field which is laid over a folder, by the answers of Flux's own code.
const LAID_OVER: &str = "a_kustomization_object_is_laid_over_a_folder_as_flux_does_it";

/// The fields of `spec`. Of two paths, one below the other, the longer comes first.
const KUSTOMIZATION: &[(&str, Fate)] = &[
    ("buildMetadata", Served(LAID_OVER)),
    ("commonMetadata", Served(LAID_OVER)),
    ("components", Served(LAID_OVER)),
    ("decryption", Refused),
    ("deletionPolicy", Served("a_removal_needs_no_source_and_asks_the_live_objects")),
    ("dependsOn[].readyExpr", Refused),
    ("dependsOn", Served("a_kustomization_that_depends_on_a_source_starts_when_that_is_fetched")),
    ("force", Served("an_immutable_change_needs_force")),
    ("healthCheckExprs", Refused),
    ("healthChecks", Served("a_wait_knows_the_jobs_that_the_cluster_deletes_when_they_have_ended")),
    ("ignore", Served("what_a_kustomization_ignores_is_left_as_it_is")),
    ("ignoreMissingComponents", Served(LAID_OVER)),
    ("images", Served(LAID_OVER)),
    ("interval", Served("a_success_says_what_flux_says")),
    ("kubeConfig", Refused),
    ("namePrefix", Served(LAID_OVER)),
    ("nameSuffix", Served(LAID_OVER)),
    ("patches", Served(LAID_OVER)),
    ("patchesJson6902", Served(LAID_OVER)),
    ("patchesStrategicMerge", Served(LAID_OVER)),
    ("path", Served("paths_inside_the_repository_are_followed")),
    ("postBuild.substituteStrategy", Served("a_strategy_of_always_substitutes_though_nothing_is_set")),
    ("postBuild", Served("variables_are_substituted_and_missing_ones_are_told")),
    ("prune", Served("nothing_is_deleted_without_prune_or_for_a_missing_path")),
    ("retryInterval", Served("every_failure_has_its_reason_and_its_next_try")),
    ("serviceAccountName", Served("under_lockdown_an_account_decides_what_is_applied")),
    ("sourceRef", Served("a_path_that_is_a_link_is_followed_when_it_is_turned")),
    ("suspend", Served("requests_are_answered_and_a_pause_holds")),
    ("targetNamespace", Served("a_namespace_that_comes_later_is_picked_up_soon")),
    ("timeout", Served("a_wait_has_what_those_before_it_left_of_its_time")),
    ("validation", Inert),
    ("wait", Served("a_dependency_that_fails_later_leaves_its_dependents_as_they_are")),
];

const GIT_REPOSITORY: &[(&str, Fate)] = &[
    ("accessFrom", Inert),
    ("gitImplementation", Inert),
    ("ignore", Served("what_is_ignored_is_not_applied")),
    ("include", Refused),
    ("interval", Served("a_fetch_stores_and_a_failure_keeps_what_is_stored")),
    ("provider", Refused),
    ("proxySecretRef", Refused),
    ("recurseSubmodules", Refused),
    ("ref", Served("tags_versions_and_names")),
    ("secretRef", Served("basic_bearer_and_private_authorities")),
    ("serviceAccountName", Refused),
    ("sparseCheckout", Refused),
    ("suspend", Served("a_source_that_is_made_paused_is_left_alone_until_it_is_resumed")),
    ("timeout", Served("a_host_that_hangs_holds_up_no_other")),
    ("url", Served("a_branch_is_followed")),
    ("verify", Refused),
];

const OCI_REPOSITORY: &[(&str, Fate)] = &[
    ("certSecretRef", Served("credentials_come_from_a_secret_or_from_the_pull_secrets_of_an_account")),
    ("ignore", Served("layers_of_oras_are_chosen_by_their_media_type")),
    ("insecure", Served("without_a_flag_insecure_is_for_this_machine")),
    ("interval", Served("a_kustomization_is_built_from_an_artifact_and_follows_it")),
    ("layerSelector", Served("layers_of_oras_are_chosen_by_their_media_type")),
    ("provider", Refused),
    ("proxySecretRef", Served("a_registry_is_reached_through_the_proxy_of_a_secret")),
    ("ref", Served("an_artifact_of_flux_is_fetched_by_tag_version_and_digest")),
    ("secretRef", Served("credentials_come_from_a_secret_or_from_the_pull_secrets_of_an_account")),
    ("serviceAccountName", Served("credentials_come_from_a_secret_or_from_the_pull_secrets_of_an_account")),
    ("suspend", Served("what_is_known_is_not_fetched_again_and_what_is_paused_stays")),
    ("timeout", Served("a_registry_that_does_not_answer_is_given_up_in_time")),
    ("url", Served("an_artifact_of_flux_is_fetched_by_tag_version_and_digest")),
    ("verify.matchOIDCIdentity", Refused),
    ("verify.trustedRootSecretRef", Refused),
    ("verify", Served("an_artifact_that_must_be_signed_is_taken_only_where_it_is")),
];

const HELM_CHART: &[(&str, Fate)] = &[
    ("accessFrom", Inert),
    ("chart", Served("a_chart_is_pulled_from_its_repository_and_follows_it")),
    ("ignoreMissingValuesFiles", Served("charts_of_git_are_packaged_with_what_is_asked_for")),
    ("interval", Served("a_chart_is_pulled_from_its_repository_and_follows_it")),
    ("reconcileStrategy", Served("charts_of_git_are_packaged_with_what_is_asked_for")),
    ("sourceRef", Served("charts_of_git_are_packaged_with_what_is_asked_for")),
    ("suspend", Served("a_chart_stays_while_it_is_paused_and_comes_back_with_its_source")),
    ("valuesFiles", Served("charts_of_git_are_packaged_with_what_is_asked_for")),
    ("valuesFile", Served("charts_of_git_are_packaged_with_what_is_asked_for")),
    ("verify.matchOIDCIdentity", Refused),
    ("verify", Served("charts_of_a_registry_are_pulled_by_version_and_range")),
    ("version", Served("a_chart_is_pulled_from_its_repository_and_follows_it")),
];

const HELM_REPOSITORY: &[(&str, Fate)] = &[
    ("accessFrom", Inert),
    ("certSecretRef", Served("a_login_and_an_authority_come_from_secrets")),
    ("insecure", Served("charts_of_a_registry_are_pulled_by_version_and_range")),
    ("interval", Served("an_index_is_followed_and_its_failures_are_told")),
    ("passCredentials", Served("credentials_go_to_the_repository_alone_unless_they_are_passed_on")),
    ("provider", Refused),
    ("secretRef", Served("a_login_and_an_authority_come_from_secrets")),
    ("suspend", Served("an_index_is_followed_and_its_failures_are_told")),
    ("timeout", Served("a_repository_that_does_not_answer_is_given_up_in_time")),
    ("type", Served("a_repository_in_a_registry_has_no_index_and_says_nothing")),
    ("url", Served("an_index_is_read_and_not_sent_again_while_it_is_the_same")),
];

const HELM_RELEASE: &[(&str, Fate)] = &[
    ("chart.spec.verify", Refused),
    ("chart", Served("a_release_is_installed_upgraded_with_its_hook_and_uninstalled")),
    ("chartRef", Served("a_chart_is_named_once_and_of_a_kind_that_can_hold_one")),
    ("commonMetadata", Served("what_is_done_to_the_documents_is_stored_and_applied")),
    ("dependsOn[].readyExpr", Refused),
    ("dependsOn", Served("releases_and_kustomizations_wait_for_each_other")),
    ("driftDetection", Served("a_field_that_others_have_changed_is_told_and_put_back")),
    ("healthCheckExprs", Refused),
    ("install.crds", Served("definitions_and_the_namespace_come_first_and_stay")),
    ("install.createNamespace", Served("definitions_and_the_namespace_come_first_and_stay")),
    ("install.disableHooks", Served("what_an_action_does_follows_from_the_spec")),
    ("install.disableOpenAPIValidation", Inert),
    ("install.disableSchemaValidation", Served("values_fit_the_schema_unless_that_is_not_wished")),
    ("install.disableTakeOwnership", Refused),
    ("install.disableWaitForJobs", Served("what_an_action_does_follows_from_the_spec")),
    ("install.disableWait", Served("what_an_action_does_follows_from_the_spec")),
    ("install.remediation", Served("a_wait_in_vain_is_a_failure_that_is_remedied_as_often_as_is_said")),
    ("install.replace", Served("a_name_that_is_in_use_is_taken_again_where_that_is_wished")),
    ("install.serverSideApply", Inert),
    ("install.skipCRDs", Served("definitions_and_the_namespace_come_first_and_stay")),
    ("install.strategy", Served("what_is_done_next_follows_from_the_state_and_the_spec")),
    ("install.timeout", Served("what_an_action_does_follows_from_the_spec")),
    ("install", Served("what_an_action_does_follows_from_the_spec")),
    ("interval", Served("a_release_is_installed_upgraded_with_its_hook_and_uninstalled")),
    ("kubeConfig", Refused),
    ("maxHistory", Served("an_upgrade_deletes_what_it_drops_and_supersedes_the_version_before")),
    ("persistentClient", Inert),
    ("postRenderStrategy", Refused),
    ("postRenderers", Served("what_is_done_to_the_documents_is_stored_and_applied")),
    ("releaseName", Served("a_release_of_another_name_takes_the_place_of_the_one_before")),
    ("rollback.cleanupOnFail", Served("what_an_action_does_follows_from_the_spec")),
    ("rollback.disableHooks", Served("what_an_action_does_follows_from_the_spec")),
    ("rollback.disableWaitForJobs", Served("what_an_action_does_follows_from_the_spec")),
    ("rollback.disableWait", Served("what_an_action_does_follows_from_the_spec")),
    ("rollback.force", Served("what_an_action_does_follows_from_the_spec")),
    ("rollback.recreate", Inert),
    ("rollback.serverSideApply", Inert),
    ("rollback.timeout", Served("what_an_action_does_follows_from_the_spec")),
    ("rollback", Served("what_an_action_does_follows_from_the_spec")),
    ("serviceAccountName", Served("releases_and_kustomizations_wait_for_each_other")),
    ("storageNamespace", Served("a_release_may_live_and_be_stored_elsewhere")),
    ("suspend", Served("a_release_that_is_paused_is_left_as_it_is")),
    ("targetNamespace", Served("a_release_may_live_and_be_stored_elsewhere")),
    ("test.enable", Refused),
    ("test", Inert),
    ("timeout", Served("what_an_action_does_follows_from_the_spec")),
    ("uninstall.deletionPropagation", Refused),
    ("uninstall.disableHooks", Served("what_an_action_does_follows_from_the_spec")),
    ("uninstall.disableWait", Served("what_an_action_does_follows_from_the_spec")),
    ("uninstall.keepHistory", Served("a_name_that_is_in_use_is_taken_again_where_that_is_wished")),
    ("uninstall.timeout", Served("what_an_action_does_follows_from_the_spec")),
    ("uninstall", Served("what_an_action_does_follows_from_the_spec")),
    ("upgrade.chartNameChangeStrategy", Served("another_release_than_the_one_that_is_there_takes_its_place")),
    ("upgrade.cleanupOnFail", Served("what_a_failed_upgrade_has_made_goes_where_that_is_wished")),
    ("upgrade.crds", Served("what_an_action_does_follows_from_the_spec")),
    ("upgrade.disableHooks", Served("what_an_action_does_follows_from_the_spec")),
    ("upgrade.disableOpenAPIValidation", Inert),
    ("upgrade.disableSchemaValidation", Served("values_fit_the_schema_unless_that_is_not_wished")),
    ("upgrade.disableTakeOwnership", Refused),
    ("upgrade.disableWaitForJobs", Served("what_an_action_does_follows_from_the_spec")),
    ("upgrade.disableWait", Served("what_an_action_does_follows_from_the_spec")),
    ("upgrade.force", Served("what_an_action_does_follows_from_the_spec")),
    ("upgrade.preserveValues", Refused),
    ("upgrade.remediation", Served("an_upgrade_that_fails_is_rolled_back_to_what_was_there")),
    ("upgrade.serverSideApply", Inert),
    ("upgrade.strategy", Served("what_is_done_next_follows_from_the_state_and_the_spec")),
    ("upgrade.timeout", Served("what_an_action_does_follows_from_the_spec")),
    ("upgrade", Served("what_an_action_does_follows_from_the_spec")),
    ("values", Served("a_release_is_stored_first_and_its_hooks_run_around_its_objects")),
    ("valuesFrom", Served("values_come_from_where_they_are_and_secrets_are_hidden")),
    ("waitStrategy", Inert),
];

fn table(plural: &str) -> Option<&'static [(&'static str, Fate)]> {
    match plural {
        "kustomizations" => Some(KUSTOMIZATION),
        "helmreleases" => Some(HELM_RELEASE),
        "gitrepositories" => Some(GIT_REPOSITORY),
        "ocirepositories" => Some(OCI_REPOSITORY),
        "helmcharts" => Some(HELM_CHART),
        "helmrepositories" => Some(HELM_REPOSITORY),
        _ => None,
    }
}

/// The line of a table that decides about a path such as `dependsOn[].name`.
fn decides<'t>(table: &'t [(&'t str, Fate)], path: &str) -> Option<&'t (&'t str, Fate)> {
    let is_below = |rest: &str| rest.is_empty() || rest.starts_with(['.', '[', '{']);
    table.iter().find(|(field, _)| path.strip_prefix(field).is_some_and(is_below))
}

/// The value without the fields that are not wanted.
fn only(path: &str, value: &Value, is_wanted: &impl Fn(&str) -> bool) -> Value {
    match value {
        Value::Object(fields) => {
            let of = |name: &str| if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") };
            let wanted = fields.iter().filter(|(name, _)| is_wanted(&of(name)));
            wanted.map(|(name, field)| (name.clone(), only(&of(name), field, is_wanted))).collect()
        }
        Value::Array(items) => items.iter().map(|item| only(&format!("{path}[]"), item, is_wanted)).collect(),
        _ => value.clone(),
    }
}

/// The chain's message about the first object of a kind's fixture, without the fields that are not wanted.
fn asked<K: Kind>(is_wanted: impl Fn(&str) -> bool) -> Option<String> {
    let fixture = tests::objects(K::INFO).remove(0);
    let edited = fixture.edit(|value| value["spec"] = only("", &value["spec"], &is_wanted)).unwrap();
    let object: Resource<K> = decode(&edited).unwrap();
    supported(&object).err().map(|refused| format!("{refused:?}"))
}

fn each_fate_is_true<K: Kind>() {
    let table = table(K::INFO.plural).unwrap();
    let fate = |path: &str| decides(table, path).map(|(_, fate)| *fate);
    assert_eq!(asked::<K>(|path| fate(path) != Some(Refused)), None);
    let names: BTreeMap<&str, Fate> = table.iter().copied().collect();
    for (refused, _) in names.iter().filter(|(_, fate)| **fate == Refused) {
        let told = asked::<K>(|path| {
            fate(path) != Some(Refused) || decides(table, path).is_some_and(|line| line.0 == *refused)
        });
        let expected = format!("spec.{refused} is not supported yet; remove it");
        assert!(told.as_ref().is_some_and(|told| told.contains(&expected)), "{refused}: {told:?}");
    }
}

#[test]
fn every_field_of_every_schema_is_served_or_refused_by_its_name() {
    for info in KINDS {
        let Some(table) = table(info.plural) else {
            assert!(!info.is_acted_on, "{} has no table of its fields", info.plural);
            continue;
        };
        let fields = tests::fields(info);
        let spec: BTreeSet<&str> = fields.iter().filter_map(|path| path.strip_prefix("spec.")).collect();
        let undecided: Vec<&&str> = spec.iter().filter(|path| decides(table, path).is_none()).collect();
        assert!(undecided.is_empty(), "{}: {undecided:?}", info.plural);
        let gone: Vec<&str> =
            table.iter().map(|(field, _)| *field).filter(|field| !spec.contains(field)).collect();
        assert!(gone.is_empty(), "{}: {gone:?} are no fields", info.plural);
    }
    each_fate_is_true::<KustomizationSpec>();
    each_fate_is_true::<HelmReleaseSpec>();
    each_fate_is_true::<GitRepositorySpec>();
    each_fate_is_true::<OciRepositorySpec>();
    each_fate_is_true::<HelmRepositorySpec>();
    each_fate_is_true::<HelmChartSpec>();
}

#[tokio::test]
async fn a_strategy_of_always_substitutes_though_nothing_is_set() {
    let file = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: c}\ndata: {region: '${region:=east}'}\n";
    let tree = Tree::in_memory([("apps/c.yaml".to_owned(), file.to_owned())].into_iter());
    for (strategy, region) in [("Always", "east"), ("WithVariables", "${region:=east}")] {
        let spec = json!({"postBuild": {"substituteStrategy": strategy}});
        let kustomization = kustomization(&spec, &[]);
        let wanted = supported(&kustomization).unwrap();
        let gathered =
            gather(&Fake::default(), &wanted, &ByHand::NOTHING, &mut Redactor::default()).await.unwrap();
        let built = build(&kustomization, &tree, gathered).unwrap();
        assert_eq!(built.resources[0].object.pointer("/data/region"), Some(&json!(region)), "{strategy}");
    }
}
