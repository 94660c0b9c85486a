"""One call through grpcio over TLS. Usage: tls_client.py PORT NAME METHOD TRUSTED-PEM [CERTIFICATE-PEM KEY-PEM].

NAME is asked for in the handshake and verified. Prints the name of the status code.
"""

import sys

import grpc


def content(name):
    with open(name, "rb") as file:
        return file.read()


port, name, method, trusted, *own = sys.argv[1:]
certificate, key = (content(own[0]), content(own[1])) if own else (None, None)
security = grpc.ssl_channel_credentials(content(trusted), key, certificate)
options = [
    ("grpc.ssl_target_name_override", name),
    ("grpc.default_authority", name),
    ("grpc.enable_retries", 0),
    ("grpc.enable_http_proxy", 0),
]
with grpc.secure_channel(f"127.0.0.1:{port}", security, options) as channel:
    try:
        channel.unary_unary(method)(b"hello", timeout=20)
        print("OK")
    except grpc.RpcError as error:
        print(error.code().name)
