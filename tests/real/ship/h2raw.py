"""One gRPC request frame by frame: what the libraries would not send."""

import socket
import struct

import h2.config
import h2.connection
import h2.events

PATH = "/opentelemetry.proto.collector.logs.v1.LogsService/Export"


def call(port, messages, encoding=None, timeout=20):
    """The headers and trailers of the answer to `messages`: (compressed, bytes) each."""
    body = b"".join(struct.pack(">?I", flag, len(data)) + data for flag, data in messages)
    headers = [
        (":method", "POST"), (":scheme", "http"), (":path", PATH), (":authority", f"127.0.0.1:{port}"),
        ("te", "trailers"), ("content-type", "application/grpc"),
    ]  # fmt: skip
    if encoding:
        headers.append(("grpc-encoding", encoding))
    answer = {}
    with socket.create_connection(("127.0.0.1", port), timeout) as link:
        peer = h2.connection.H2Connection(h2.config.H2Configuration(client_side=True))
        peer.initiate_connection()
        peer.send_headers(1, headers)
        while True:
            while body and (room := min(peer.local_flow_control_window(1), peer.max_outbound_frame_size, len(body))):
                peer.send_data(1, body[:room])
                body = body[room:]
                if not body:
                    peer.end_stream(1)
            link.sendall(peer.data_to_send())
            data = link.recv(1 << 16)
            if not data:
                return answer
            for event in peer.receive_data(data):
                if isinstance(event, (h2.events.ResponseReceived, h2.events.TrailersReceived)):
                    answer |= {_text(k): _text(v) for k, v in event.headers}
                if isinstance(event, h2.events.DataReceived):
                    peer.acknowledge_received_data(event.flow_controlled_length, 1)
                if isinstance(event, (h2.events.StreamEnded, h2.events.StreamReset)):
                    return answer


def _text(value):
    return value.decode() if isinstance(value, bytes) else value
