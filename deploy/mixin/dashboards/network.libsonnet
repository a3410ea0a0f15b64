// Examples of TCP, UDP, ICMP, unix sockets and packets.
local panel = import 'panel.libsonnet';
local query = import 'query.libsonnet';

function(config)
  panel.dashboard(config, 'ebpf-network', 'eBPF: network', 'Connections that wait, packets that are dropped, and who sends them.', [
    panel.section('Dropped packets (kfree_skb)', [
      panel.stack('By reason', 'The twenty most frequent.', 'pps', [query.top('kfree_skb_total', ['reason'])]),
      panel.lines('By protocol and port', 'The twenty most frequent.', 'pps', [query.top('kfree_skb_total', ['eth_proto', 'ip_proto', 'port'])]),
    ]),
    panel.section('TCP: connections that come in (accept-latency, tcp-syn-backlog)',
                  panel.latency('Wait for accept', 'How long connections sit in the queue.', 'accept_latency_seconds', ['port'])
                  + panel.latency('SYN backlog', 'How many connections wait to be established.', 'tcp_syn_backlog', [], 'short')),
    panel.section('TCP: what is lost (tcp-retransmit, tcp-window-clamps, tcp-connections)', [
      panel.lines('Retransmissions over IPv4', 'By peer, the twenty with most.', 'pps', [query.top('tcp_retransmit_ipv4_packets_total', ['peer_ip', 'type'])]),
      panel.lines('Retransmissions over IPv6', 'By peer, the twenty with most.', 'pps', [query.top('tcp_retransmit_ipv6_packets_total', ['peer_ip', 'type'])]),
      panel.lines('Retransmissions by port', 'The twenty with most.', 'pps', [query.top('tcp_retransmit_ipv4_packets_total', ['main_port'])]),
      panel.lines('Windows clamped', 'In a second.', 'short', [query.rate('tcp_window_clamps_total')]),
      panel.lines('Connections by zone', 'Established in a second.', 'short', [query.rate('tcp_connections_total', ['zone', 'direction'])]),
      panel.lines('Connections that failed', 'In a second, by zone.', 'short', [query.rate('tcp_connect_failures_total', ['zone'])]),
    ]),
    panel.section('UDP and DNS (udp-drops, dns-queries)', [
      panel.lines('UDP: receive buffer full', 'By local port.', 'pps', [query.top('udp_fail_queue_rcv_skbs_total', ['local_port'])]),
      panel.lines('DNS queries', 'By domain, the twenty most frequent.', 'short', [query.top('dns_queries_total', ['domain'])]),
    ]),
    panel.section('ICMP and fragments (icmp-ip, inet-frags)', [
      panel.lines('ICMP over IPv4', 'By source, the twenty with most.', 'pps', [query.top('icmp4_received_packets_total', ['source_addr'])]),
      panel.lines('ICMP over IPv6', 'By source, the twenty with most.', 'pps', [query.top('icmp6_received_packets_total', ['source_addr'])]),
      panel.lines('Fragments', 'In a second.', 'pps', [query.rate('inet_frags_total', ['interface', 'ip_version'])]),
    ]),
    panel.section('XDP (xdp)', [
      panel.stack('Packets that come in', 'By protocol.', 'pps', [query.rate('xdp_incoming_packets_total', ['protocol'])]),
      panel.lines('By port', 'The twenty with most.', 'pps', [query.top('xdp_incoming_packets_total', ['dst_port'])]),
    ]),
    panel.section('Unix sockets (unix-accept-latency, unix-socket-backlog)',
                  panel.latency('Wait for accept', 'From connect to accept.', 'unix_accept_latency_seconds', ['addr'])
                  + panel.latency('Backlog', 'How many connections wait.', 'unix_socket_backlog', ['addr'], 'short')),
  ])
