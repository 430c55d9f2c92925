/**
 * API extensions announced in `GET /1.0`, in LXD's order (names are facts of the protocol, LXD 5.0.2). Clients decide by this list what they may ask
 * for, so one is here only when it works; what of LXD 5.0.2 is missing stands in `extensionsToCome`, by what it waits for.
 */
export const apiExtensions: readonly string[] = [
  'container_syscall_filtering', 'container_host_shutdown_timeout', 'container_stop_priority', 'auth_pki', 'container_last_used_at', 'etag', 'patch', 'usb_devices',
  'https_allowed_credentials', 'image_compression_algorithm', 'directory_manipulation', 'container_cpu_time', 'network', 'profile_usedby', 'container_push',
  'container_exec_recording', 'certificate_update', 'container_exec_signal_handling', 'gpu_devices', 'container_image_properties', 'migration_progress', 'id_map',
  'network_firewall_filtering', 'network_routes', 'storage', 'file_delete', 'file_append', 'network_dhcp_expiry', 'network_vlan', 'image_create_aliases', 'container_stateless_copy', 'container_only_migration', 'unix_device_rename', 'storage_rsync_bwlimit', 'network_vxlan_interface',
  'storage_btrfs_mount_options', 'entity_description', 'image_force_refresh', 'id_map_base', 'file_symlinks', 'container_push_target', 'network_vlan_physical', 'storage_images_delete', 'container_edit_metadata', 'container_snapshot_stateful_migration', 'resource_limits',
  'storage_volatile_initial_source', 'resources', 'kernel_limits', 'storage_api_volume_rename', 'network_sriov', 'restrict_devlxd', 'infiniband', 'devlxd_events', 'proxy', 'container_backup', 'devlxd_images', 'console', 'network_dhcp_gateway', 'file_get_symlink', 'network_leases', 'unix_device_hotplug', 'storage_api_local_volume_handling', 'operation_description', 'clustering',
  'event_lifecycle', 'storage_api_remote_volume_handling', 'nvidia_runtime', 'container_mount_propagation', 'container_local_cross_pool_handling', 'proxy_unix', 'proxy_udp', 'clustering_join', 'proxy_tcp_udp_multi_port_handling', 'network_state', 'proxy_unix_dac_properties', 'container_protection_delete', 'unix_priv_drop', 'pprof_http', 'proxy_haproxy_protocol', 'network_hwaddr', 'proxy_nat',
  'network_nat_order', 'container_full', 'backup_compression', 'nvidia_runtime_config', 'storage_api_volume_snapshots', 'storage_unmapped', 'projects', 'network_vxlan_ttl', 'container_incremental_copy', 'usb_optional_vendorid', 'snapshot_scheduling', 'snapshot_schedule_aliases', 'container_copy_project', 'clustering_server_address', 'clustering_image_replication', 'container_protection_shift', 'snapshot_expiry', 'container_backup_override_pool', 'snapshot_expiry_creation', 'network_leases_location', 'resources_cpu_socket',
  'resources_gpu', 'resources_numa', 'kernel_features', 'id_map_current', 'event_location', 'storage_api_remote_volume_snapshots', 'network_nat_address',
  'container_nic_routes', 'seccomp_notify', 'cluster_internal_copy', 'lxc_features', 'container_nic_ipvlan', 'network_vlan_sriov', 'container_nic_ipfilter', 'resources_v2', 'container_exec_user_group_cwd', 'storage_shifted',
  'container_syscall_intercept', 'container_disk_shift', 'resources_infiniband', 'daemon_storage', 'instances', 'image_types', 'resources_disk_sata', 'clustering_roles', 'images_expiry', 'resources_network_firmware',
  'backup_compression_algorithm', 'container_syscall_intercept_mount', 'compression_squashfs', 'container_raw_mount', 'container_nic_routed', 'container_syscall_intercept_mount_fuse', 'container_syscall_intercept_hugetlbfs', 'container_syscall_intercept_bpf_devices', 'projects_networks', 'projects_networks_restricted_uplinks', 'custom_volume_backup', 'image_profiles', 'clustering_architecture', 'resources_disk_id', 'unix_hotplug_devices', 'api_filtering', 'instance_nic_network', 'clustering_sizing', 'firewall_driver', 'projects_limits',
  'limits_hugepages', 'container_nic_routed_gateway', 'projects_restrictions', 'custom_volume_snapshot_expiry', 'volume_snapshot_scheduling', 'trust_ca_certificates', 'snapshot_disk_usage', 'clustering_edit_roles', 'container_nic_routed_host_address', 'container_nic_ipvlan_gateway', 'resources_usb_pci', 'resources_cpu_threads_numa', 'resources_cpu_core_die', 'api_os', 'container_nic_routed_host_table', 'container_nic_ipvlan_host_table', 'container_nic_ipvlan_mode',
  'resources_system', 'images_push_relay', 'network_dns_search', 'container_nic_routed_limits', 'instance_nic_bridged_vlan', 'network_state_bond_bridge', 'usedby_consistency', 'custom_block_volumes', 'clustering_failure_domains', 'resources_gpu_mdev', 'projects_limits_disk', 'network_type_macvlan', 'network_type_sriov',
  'backup_override_name', 'storage_rsync_compression', 'network_type_physical', 'tpm_device_type', 'resources_pci_iommu', 'resources_network_usb', 'resources_disk_address', 'projects_limits_instances', 'network_state_vlan', 'instance_nic_bridged_port_isolation',
  'instance_bulk_state_change', 'network_gvrp', 'instance_pool_move', 'storage_volume_state', 'network_acl', 'migration_stateful', 'disk_state_quota', 'projects_compression', 'projects_images_remote_cache_expiry', 'certificate_project',
  'projects_images_auto_update', 'projects_restricted_cluster_target', 'images_default_architecture', 'gpu_mig', 'project_usage', 'network_bridge_acl', 'warnings', 'projects_restricted_backups_and_snapshots', 'clustering_join_token', 'clustering_description', 'clustering_update_cert', 'storage_api_project', 'server_instance_driver_operational',
  'server_supported_storage_drivers', 'event_lifecycle_requestor_address', 'resources_gpu_usb', 'clustering_evacuation', 'network_forward', 'custom_volume_refresh', 'network_counters_errors_dropped',
  'metrics', 'image_source_project', 'clustering_config', 'linux_sysctl', 'certificate_self_renewal', 'instance_project_move', 'storage_volume_project_move', 'database_leader', 'instance_all_projects', 'clustering_groups', 'instance_get_full', 'gpu_mig_uuid',
  'event_project', 'clustering_evacuation_live', 'instance_allow_inconsistent_copy', 'storage_volume_api_filtering', 'image_restrictions', 'network_acl_log', 'metrics_cpu_seconds', 'instance_snapshot_never', 'certificate_token', 'instance_nic_routed_neighbor_probe', 'event_hub', 'projects_restricted_intercept', 'metrics_authentication',
  'images_target_project', 'cluster_migration_inconsistent_copy', 'storage_volume_state_total', 'instance_file_head', 'resources_pci_vpd', 'storage_volumes_all_projects', 'projects_networks_restricted_access', 'cluster_join_token_expiry', 'remote_token_expiry',
  'container_syscall_intercept_sched_setscheduler', 'init_preseed', 'cloud_init',
  // Later ones.
  'instances_rebuild', 'instance_create_start',
];

/** Those of later versions of LXD among the announced. */
export const laterExtensions: readonly string[] = ['instances_rebuild', 'instance_create_start'];

/** LXD 5.0.2's extensions that are not announced, by the part of Roost they need. A test keeps both lists together complete. */
export const extensionsToCome: Readonly<Record<string, readonly string[]>> = {
  'copies and moves of instances': [
    'migration_pre_copy',
  ],
  'storage drivers other than dir and btrfs': [
    'storage_zfs_remove_snapshots', 'storage_zfs_use_refquota', 'storage_zfs_clone_copy', 'storage_zfs_clone_copy_rebase',
    'storage_zfs_export', 'storage_zfs_reserve_space', 'storage_zfs_blocksize', 'storage_lvm_mount_options', 'storage_lvm_vg_rename',
    'storage_lvm_thinpool_rename', 'storage_lvm_use_thinpool', 'storage_lvm_lv_resizing', 'storage_lvm_stripes',
    'storage_lvm_thinpool_metadata_size', 'storage_driver_ceph', 'storage_ceph_user_name', 'storage_ceph_force_osd_reuse',
    'storage_cephfs', 'ceph_data_pool_name', 'container_disk_ceph', 'storage_ceph_features', 'ceph_rbd_du', 'storage_cephfs_fscache',
    'storage_block_filesystem_btrfs',
  ],
  'graphical consoles': [
    'console_vga_type',
  ],
  'virtual machines': [
    'virtual-machines', 'vm_boot_priority', 'qemu_metrics', 'qemu_raw_conf', 'vsock_api', 'agent_nic_config', 'cpu_hotplug', 'gpu_mdev', 'gpu_sriov', 'pci_device_type',
  ],
  'network types and parts other than plain bridges': [
    'network_type_ovn',
    'network_ovn_external_subnets', 'network_ovn_nat', 'network_ovn_external_routes_remove', 'network_physical_ovn_ingress_mode',
    'network_ovn_dhcp', 'network_physical_routes_anycast', 'network_ovn_acl', 'network_ovn_acl_defaults',
    'network_ovn_nat_address', 'network_bgp', 'network_peer', 'network_dns',
    'ovn_nic_acceleration', 'network_dns_nat', 'network_dns_records', 'network_state_ovn', 'cluster_ovn_chassis',
  ],
  'the PROXY protocol of clients': [
    'server_trusted_proxy',
  ],
  'services Roost does not talk to': [
    'macaroon_authentication', 'maas_network', 'candid_authentication', 'candid_config', 'candid_config_key', 'rbac',
  ],
};
