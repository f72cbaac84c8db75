"""The transport's classes hand kombu every option it reads."""

from __future__ import annotations

from kombu.transport import redis as stock

from platform import transport


def test_a_channel_through_sentinel_reads_the_masters_name_and_the_lease() -> None:
    read = set(transport.SentinelChannel.from_transport_options)
    assert read >= {*stock.SentinelChannel.from_transport_options, *transport.Channel.from_transport_options}
    assert {"master_name", "lease"} <= read
