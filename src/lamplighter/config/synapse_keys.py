"""The keys of Synapse's configuration, their counterparts in ours, and the errors for them.

The keys come from the manual of Synapse 1.163; older keys that files still have are included.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from msgspec.structs import fields

from lamplighter.config.explain import Refused
from lamplighter.config.model import Config

__all__ = ["MOVED_KEYS", "SYNAPSE_KEYS", "check_is_ours"]

#: By Synapse's key, the key here that takes its value. Keys with the same name and meaning are
#: not in `SYNAPSE_KEYS`.
MOVED_KEYS: Final[Mapping[str, str]] = {
    "server_name": "server_name",
    "presence": "presence",
    "use_presence": "presence.enabled",
    "modules": "modules",
    "public_baseurl": "public_baseurl",
    "listeners": "listen",
    "exclude_rooms_from_presence": "routing.exclude_rooms",
    "rc_login": "rate_limits.login",
    "rc_registration": "rate_limits.registration",
    "rc_presence": "rate_limits.presence",
    "signing_key_path": "federation.signing_key",
    "tls_certificate_path": "federation.tls_certificate",
    "tls_private_key_path": "federation.tls_private_key",
    "federation_domain_whitelist": "federation.allow_servers",
    "federation_verify_certificates": "federation.verify_certificates",
    "federation_custom_ca_list": "federation.extra_ca_files",
    "ip_range_whitelist": "federation.allow_addresses",
    "serve_server_wellknown": "federation.well_known_server",
}

_NAMES: Final = """
account_threepid_delegates account_validity acme additional_event_types admin_contact
alias_creation_rules allow_device_name_lookup_over_federation allow_guest_access
allow_per_room_profiles allow_profile_lookup_over_federation allow_public_rooms_over_federation
allow_public_rooms_without_auth allow_underscore_prefixed_registration allowed_avatar_mimetypes
allowed_local_3pids app_service_config_files auto_accept_invites auto_join_mxid_localpart
auto_join_rooms auto_join_rooms_for_guests autocreate_auto_join_room_preset
autocreate_auto_join_rooms autocreate_auto_join_rooms_federated background_updates
backup_media_store_path bcrypt_rounds bind_host bind_port block_non_admin_invites caches
captcha_public_key cas_config cleanup_extremities_with_dummy_events daemonize data_stores
database databases default_identity_server default_power_level_content_override
default_room_version delete_stale_devices_after disable_msisdn_registration discard_events
dummy_events_threshold dynamic_thumbnails email enable_3pid_changes enable_3pid_lookup
enable_authenticated_media enable_ephemeral_messages enable_group_creation
enable_local_media_storage enable_media_repo enable_metrics enable_registration
enable_registration_captcha enable_registration_token_3pid_bypass
enable_registration_without_verification enable_room_list_search enable_search
enable_set_avatar_url enable_set_displayname encryption_enabled_by_default_for_room_type
event_cache_size exclude_rooms_from_presence exclude_rooms_from_sync experimental_features
expire_access_token extra_well_known_client_content
federation_certificate_verification_whitelist federation_client_minimum_tls_version
federation_custom_ca_list federation_domain_whitelist federation_ip_range_blacklist
federation_metrics_domains federation_rc_concurrent federation_rc_reject_limit
federation_rc_sleep_delay federation_rc_sleep_limit federation_rc_window_size
federation_rr_transactions_per_room_per_second federation_sender_instances
federation_verify_certificates federation_whitelist_endpoint_enabled filter_timeline_limit
forget_rooms_on_leave forgotten_room_retention_period form_secret form_secret_path
full_twisted_stacktraces gc_min_interval gc_thresholds group_creation_prefix gzip_responses
hs_disabled hs_disabled_message http_proxy https_proxy include_profile_data_on_invite
inhibit_user_in_use_error instance_map invite_3pid_guest ip_range_blacklist ip_range_whitelist
jwt_config key_refresh_interval key_server_signing_keys_path ldap_config
limit_profile_requests_to_users_who_share_rooms limit_remote_rooms limit_usage_by_mau listeners
log_config log_file login_via_existing_session macaroon_secret_key macaroon_secret_key_path
manhole manhole_settings matrix_authentication_service matrix_rtc mau_appservice_trial_days
mau_limit_alerting mau_limit_reserved_threepids mau_stats_only mau_trial_days max_avatar_size
max_event_delay_duration max_image_pixels max_mau_value max_pending_media_uploads
max_spider_size max_upload_size media_instance_running_background_jobs media_retention
media_storage_providers media_store_path media_upload_limits metrics_bind_host metrics_flags
metrics_port msc4388 next_link_domain_whitelist no_proxy_hosts no_tls
nonrefreshable_access_token_lifetime notify_appservices_from_worker oembed oidc_config
oidc_providers old_signing_keys opentracing outbound_federation_restricted_to password_config
password_providers perspectives pid_file prevent_media_downloads_from print_pidfile
public_room_list_publication_rules push push_rules pusher_instances ratelimiting
rc_3pid_validation rc_admin_redaction rc_client_search rc_delayed_event_mgmt rc_federation
rc_invites rc_joins rc_joins_per_room rc_joins_remote rc_login rc_media_create rc_message
rc_message_burst_count rc_messages_per_second rc_presence rc_registration
rc_registration_token_validity rc_reports rc_room_creation rc_third_party_invite
rc_user_directory recaptcha_private_key recaptcha_private_key_path recaptcha_public_key
recaptcha_public_key_path recaptcha_siteverify_api redaction_allowed_period
redaction_retention_period redis refresh_token_lifetime refreshable_access_token_lifetime
registration_requires_token registration_shared_secret registration_shared_secret_path
registrations_require_3pid remote_media_download_burst_count remote_media_download_per_second
replication_torture_level report_stats report_stats_endpoint request_token_inhibit_3pid_errors
require_auth_for_profile_requests require_membership_for_aliases
restrict_public_rooms_to_local_users retention room_list_publication_rules room_prejoin_state
run_background_tasks_on saml2_config saml_session_lifetime send_federation
send_server_notice_to_guests sentry serve_server_wellknown server_context server_notices
session_lifetime show_locked_users signing_key_path soft_file_limit spam_checker sso
start_pushers stats stream_writers suppress_key_server_warning sync_response_cache_duration
task_scheduler template_dir templates third_party_event_rules thumbnail_sizes
tls_certificate_path tls_fingerprints tls_private_key_path track_appservice_user_ips
track_memory_usage track_puppeted_user_ips trust_identity_server_for_password_resets
trusted_key_servers turn_allow_guests turn_password turn_shared_secret turn_shared_secret_path
turn_uris turn_user_lifetime turn_username ui_auth unsecure_port unused_expiration_time
update_profile_information update_user_directory_from_worker uploads_path
url_preview_accept_language url_preview_enabled url_preview_ip_range_blacklist
url_preview_ip_range_whitelist url_preview_url_blacklist use_account_validity_in_account_status
use_appservice_legacy_authorization use_frozen_dicts
use_insecure_ssl_client_just_for_testing_do_not_use use_presence user_agent_suffix user_consent
user_directory user_ips_max_age user_mapping_provider user_types verbose web_client
web_client_location worker_app worker_daemonize worker_listeners worker_log_config
worker_main_http_uri worker_manhole worker_name worker_pid_file worker_replication_host
worker_replication_http_port worker_replication_http_tls worker_replication_listener
worker_replication_secret worker_replication_secret_path
"""

#: Keys at the top level of a homeserver.yaml that do not exist here under that name.
SYNAPSE_KEYS: Final = frozenset(_NAMES.split())


#: With this many of Synapse's keys the file is a homeserver.yaml; with fewer they are mistakes.
_ENOUGH: Final = 3
#: How many of the keys that stay in Synapse are named.
_NAMED: Final = 5
_COMMAND: Final = "lamplighter generate-config --from-synapse homeserver.yaml -o lamplighter.yaml"


def check_is_ours(raw: object) -> None:
    """Raise `Refused` if *raw* has keys of Synapse at its top level."""
    if not isinstance(raw, dict):
        return
    theirs = [key for key in raw if key in SYNAPSE_KEYS]
    if "database" in theirs and not isinstance(raw["database"], Mapping):
        theirs.remove("database")  # ours is text, Synapse's is a mapping
    if len(theirs) >= _ENOUGH:
        raise Refused("", _answer(raw))
    for key in theirs:
        if key in MOVED_KEYS:
            raise Refused(key, f"a key of Synapse; here it is {MOVED_KEYS[key]}")
        raise Refused(key, "a key of Synapse, which stays in Synapse; remove it here")


def _answer(raw: Mapping[Any, Any]) -> str:
    """Return which keys move, which stay, and what to do next; never a value."""
    same = [key for key in raw if MOVED_KEYS.get(key) == key]
    moved = [f"{key} to {MOVED_KEYS[key]}" for key in raw if MOVED_KEYS.get(key, key) != key]
    stays = [key for key in raw if key in SYNAPSE_KEYS and key not in MOVED_KEYS]
    ours = {field.encode_name for field in fields(Config)}
    unknown = [key for key in raw if key not in SYNAPSE_KEYS | MOVED_KEYS.keys() | ours]
    more = ", …" if len(stays) > _NAMED else ""
    lines = [
        "this is a configuration of Synapse.",
        f"  Moves as it is: {_listed(same)}.",
        f"  Moves under another name: {_listed(moved)}.",
        f"  Stays in Synapse: {len(stays)} keys ({_listed(stays[:_NAMED])}{more}).",
    ]
    if unknown:
        lines.append(f"  Unknown to both: {len(unknown)} keys.")
    lines.append(f"  For a configuration to start from:\n    {_COMMAND}")
    return "\n".join(lines)


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names) or "nothing"
