/** Keys to be tried on both servers, by what they configure: those of LXD 5.0.2, and later ones, which it does not know. */
export const configKeys: Readonly<Record<'server' | 'project' | 'pool' | 'volume' | 'network', readonly string[]>> = {
  server: words(`
    acme.agree_tos acme.ca_url acme.challenge acme.domain acme.eab.hmac acme.eab.kid acme.email acme.http.port acme.provider acme.provider.environment
    acme.provider.resolvers authorization.client.default authorization.client.oidc authorization.client.tls authorization.client.tls-restricted
    authorization.client.unix authorization.openfga.api.token authorization.openfga.api.url authorization.openfga.store.id
    authorization.openfga.tls.identifier authorization.scriptlet backups.compression_algorithm candid.api.key candid.api.url candid.domains candid.expiry
    cluster.healing_threshold cluster.https_address cluster.images_minimal_replica cluster.join_token_expiry cluster.max_standby cluster.max_voters
    cluster.offline_threshold cluster.rebalance.batch cluster.rebalance.cooldown cluster.rebalance.interval cluster.rebalance.threshold core
    core.auth_secret_expiry core.bgp_address core.bgp_asn core.bgp_routerid core.debug_address core.dns_address core.https_address
    core.https_allowed_credentials core.https_allowed_headers core.https_allowed_methods core.https_allowed_origin core.https_allowed_websocket_origin
    core.https_trusted_proxy core.metrics_address core.metrics_authentication core.proxy_http core.proxy_https core.proxy_ignore_hosts
    core.remote_token_expiry core.shutdown_action core.shutdown_timeout core.storage_buckets_address core.syslog_socket core.trust_ca_certificates
    core.trust_password images.auto_update_cached images.auto_update_interval images.compression_algorithm images.default_architecture
    images.remote_cache_expiry instances.lxcfs.per_instance instances.migration.stateful instances.nic.host_name instances.placement.scriptlet
    instances.tpm.platform_cert instances.tpm.platform_key logging.n.lifecycle.projects logging.n.lifecycle.types logging.n.logging.level
    logging.n.target.address logging.n.target.ca_cert logging.n.target.facility logging.n.target.instance logging.n.target.labels
    logging.n.target.password logging.n.target.retry logging.n.target.type logging.n.target.username logging.n.types loki.api.ca_cert loki.api.url
    loki.auth.password loki.auth.username loki.instance loki.labels loki.loglevel loki.types maas.api.key maas.api.url maas.machine network.hwaddr_pattern
    network.ovn.ca_cert network.ovn.client_cert network.ovn.client_key network.ovn.integration_bridge network.ovn.northbound_connection
    network.ovs.connection nonsense oidc.audience oidc.claim oidc.client.id oidc.client.secret oidc.device.client.id oidc.groups.claim oidc.issuer
    oidc.scopes oidc.session.expiry rbac.agent.private_key rbac.agent.public_key rbac.agent.url rbac.agent.username rbac.api.expiry rbac.api.key
    rbac.api.url storage.backups_volume storage.images_volume storage.linstor.ca_cert storage.linstor.client_cert storage.linstor.client_key
    storage.linstor.controller_connection storage.linstor.satellite.name storage.logs_volume storage.project.p.backups_volume
    storage.project.p.images_volume user. user.instances.placement.scriptlet user.x volatile.uuid
  `),
  project: words(`
    backups.compression_algorithm features.images features.networks features.networks.zones features.profiles features.storage.buckets
    features.storage.volumes images.auto_update_cached images.auto_update_interval images.compression_algorithm images.default_architecture
    images.remote_cache_expiry limits limits.containers limits.cpu limits.disk limits.disk.pool.default limits.instances limits.memory limits.networks
    limits.networks.uplink_ips.ipv4.n limits.networks.uplink_ips.ipv6.n limits.processes limits.virtual-machines network.hwaddr_pattern nonsense
    replica.cluster restricted restricted.backups restricted.cluster.groups restricted.cluster.target restricted.containers.interception
    restricted.containers.lowlevel restricted.containers.nesting restricted.containers.privilege restricted.devices.disk restricted.devices.disk.paths
    restricted.devices.gpu restricted.devices.infiniband restricted.devices.nic restricted.devices.pci restricted.devices.proxy
    restricted.devices.unix-block restricted.devices.unix-char restricted.devices.unix-hotplug restricted.devices.usb restricted.idmap.gid
    restricted.idmap.uid restricted.images.servers restricted.networks.access restricted.networks.integrations restricted.networks.subnets
    restricted.networks.uplinks restricted.networks.zones restricted.nonsense restricted.snapshots restricted.storage-pools.access
    restricted.virtual-machines.lowlevel restricted.virtual-machines.nesting user.x volatile.x
  `),
  pool: words(`
    btrfs.mount_options ceph.cluster_name ceph.osd.data_pool_name ceph.osd.pg_num ceph.osd.pool_name ceph.osd.pool_size ceph.rbd.clone_copy ceph.rbd.du
    ceph.rbd.features ceph.user.name cephfs.cluster_name cephfs.create_missing cephfs.data_pool cephfs.fscache cephfs.meta_pool cephfs.osd_pg_num
    cephfs.osd_pool_size cephfs.path cephfs.user.name cephobject.bucket.name_prefix cephobject.cluster_name cephobject.radosgw.endpoint
    cephobject.radosgw.endpoint_cert_file cephobject.user.name lvm.thinpool_metadata_size lvm.thinpool_name lvm.use_thinpool lvm.vg.force_reuse
    lvm.vg_name nonsense rsync.bwlimit rsync.compression size source source.recover source.wipe user.x volatile.initial_source volatile.pool.pristine
    volatile.x volume.nonsense volume.security.shifted volume.size volume.snapshots.expiry volume.user.x zfs.clone_copy zfs.export zfs.pool_name
  `),
  volume: words(`
    block.filesystem block.mount_options lvm.stripes lvm.stripes.size nonsense security.shared security.shifted security.unmapped size snapshots.expiry
    snapshots.pattern snapshots.schedule user.x volatile.devlxd.owner volatile.idmap.last volatile.idmap.next volatile.uuid volatile.x zfs.block_mode
    zfs.blocksize zfs.delegate zfs.promote zfs.remove_snapshots zfs.reserve_space zfs.use_refquota
  `),
  network: words(`
    acceleration.parent bgp.ipv4.nexthop bgp.ipv6.nexthop bgp.peers.n.address bgp.peers.n.asn bgp.peers.n.holdtime bgp.peers.n.password bridge.driver
    bridge.external_interfaces bridge.hwaddr bridge.mode bridge.mtu dns.domain dns.mode dns.nameservers dns.search dns.zone.forward dns.zone.reverse.ipv4
    dns.zone.reverse.ipv6 fan.overlay_subnet fan.type fan.underlay_subnet gvrp ipv4.address ipv4.dhcp ipv4.dhcp.expiry ipv4.dhcp.gateway ipv4.dhcp.ranges
    ipv4.firewall ipv4.gateway ipv4.l3only ipv4.nat ipv4.nat.address ipv4.nat.order ipv4.ovn.ranges ipv4.routes ipv4.routes.anycast ipv4.routing
    ipv6.address ipv6.dhcp ipv6.dhcp.expiry ipv6.dhcp.ranges ipv6.dhcp.stateful ipv6.firewall ipv6.gateway ipv6.l3only ipv6.nat ipv6.nat.address
    ipv6.nat.order ipv6.ovn.ranges ipv6.routes ipv6.routes.anycast ipv6.routing maas.subnet.ipv4 maas.subnet.ipv6 mtu network nonsense ovn.ingress_mode
    parent raw.dnsmasq security.acls security.acls.default.egress.action security.acls.default.egress.logged security.acls.default.ingress.action
    security.acls.default.ingress.logged tunnel.n.group tunnel.n.id tunnel.n.interface tunnel.n.local tunnel.n.port tunnel.n.protocol tunnel.n.remote
    tunnel.n.ttl user.x vlan volatile.last_state.created volatile.network.ipv4.address volatile.x
  `),
};

function words(text: string): string[] {
  return text.trim().split(/\s+/);
}
