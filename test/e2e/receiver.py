"""A receiver of the http and grpc destinations, as a process of its own that can be killed: receiver.py KIND PORT LOG CONTROL

Each request that it takes is one JSON line in LOG, written before it is answered. CONTROL is a JSON file, read for each request, that
says how to behave:
  trouble      share of requests that go wrong, by chance: refused for now, slow, cut before or after they were taken
  reject       text; a payload that has it is rejected
  status       answer this status (http) or code name (grpc) to all, and take nothing
  retry_after  with status: ask to be left alone for so many seconds; each refusal is noted in LOG, with its time and without key
  hang         take nothing and answer nothing for so many seconds
  certificate, key, authority   files; with them, TLS, and clients without a certificate of the authority are not let in (at the start only)
"""

import base64
import concurrent.futures
import http.server
import json
import os
import random
import socket
import ssl
import subprocess
import sys
import tempfile
import time

KIND, PORT, LOG, CONTROL = sys.argv[1], int(sys.argv[2]), sys.argv[3], sys.argv[4]
log = os.open(LOG, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)


def control():
    with open(CONTROL, encoding="utf-8") as f:
        return json.load(f)


def note(key, headers, body, **fields):
    line = {"key": key, "headers": headers, "body": base64.b64encode(body).decode(), **fields}
    os.write(log, (json.dumps(line) + "\n").encode())


def mishap(settings):
    """What goes wrong with this request; None: nothing."""
    if random.random() >= settings.get("trouble", 0):
        return None
    return random.choice(["busy", "limit", "slow", "cut", "lost"])


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        settings = control()
        wrong = mishap(settings)
        if settings.get("hang"):
            time.sleep(settings["hang"])
            return self.cut()
        if settings.get("status") and settings.get("retry_after"):
            note(None, {}, body, refused=time.time())
            return self.answer(settings["status"], "as the test wants", {"Retry-After": str(settings["retry_after"])})
        if settings.get("status"):
            return self.answer(settings["status"], "as the test wants")
        if wrong == "busy":
            return self.answer(503, "busy")
        if wrong == "limit":
            return self.answer(429, "slow down", {"Retry-After": "0"})
        if wrong == "cut":
            return self.cut()
        if settings.get("reject") and settings["reject"].encode() in body:
            return self.answer(422, "the test rejects it")
        if wrong == "slow":
            time.sleep(0.2)
        note(self.headers["Idempotency-Key"], dict(self.headers.items()), body, path=self.path)
        if wrong == "lost":
            return self.cut()
        return self.answer(200, "")

    def cut(self):
        self.close_connection = True
        self.connection.shutdown(socket.SHUT_RDWR)

    def answer(self, status, text, headers=()):
        self.send_response(status)
        for name, value in dict(headers).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text.encode())

    def handle_one_request(self):
        try:
            super().handle_one_request()
        except (OSError, ValueError):
            self.close_connection = True

    def log_message(self, *args):
        pass


def serve_http():
    class Server(http.server.ThreadingHTTPServer):
        request_queue_size = 64
        daemon_threads = True

    server = Server(("127.0.0.1", PORT), Handler)
    settings = control()
    if "certificate" in settings:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(settings["certificate"], settings["key"])
        context.load_verify_locations(settings["authority"])
        context.verify_mode = ssl.CERT_REQUIRED
        server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    server.serve_forever()


def messages():
    """The classes of the service's messages, made from the contract."""
    from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
    protos = os.path.join(os.environ["WALLABY_SOURCE_DIR"], "proto")
    with tempfile.NamedTemporaryFile() as out:
        subprocess.run(["protoc", "--include_imports", f"--descriptor_set_out={out.name}", f"-I{protos}", "wallaby/v1/services.proto"],
                       check=True)
        files = descriptor_pb2.FileDescriptorSet.FromString(out.read()).file
    pool = descriptor_pool.DescriptorPool()
    for file in files:
        pool.Add(file)
    return [message_factory.GetMessageClass(pool.FindMessageTypeByName(f"wallaby.v1.IngestBatch{name}")) for name in ("Request", "Response")]


def serve_grpc():
    import grpc
    request_type, response_type = messages()

    def ingest(request, context):
        settings = control()
        wrong = mishap(settings)
        if settings.get("hang"):
            time.sleep(settings["hang"])
            context.abort(grpc.StatusCode.UNAVAILABLE, "the test hangs")
        if settings.get("status"):
            context.abort(getattr(grpc.StatusCode, settings["status"]), "as the test wants")
        if wrong in ("busy", "cut"):
            context.abort(grpc.StatusCode.UNAVAILABLE, "busy")
        if wrong == "limit":
            context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, "slow down")
        if settings.get("reject") and settings["reject"].encode() in request.payload:
            return response_type(accepted=False, message="the test rejects it")
        if wrong == "slow":
            time.sleep(0.2)
        metadata = dict(context.invocation_metadata())
        note(metadata["idempotency-key"], metadata, request.payload, flow=request.flow_id, destination=request.destination,
             lsn=request.checkpoint.lsn, format=request.wire_format)
        if wrong == "lost":
            context.abort(grpc.StatusCode.UNAVAILABLE, "the answer is lost")
        return response_type(accepted=True)

    server = grpc.server(concurrent.futures.ThreadPoolExecutor(8), options=[("grpc.so_reuseport", 0)])
    handler = grpc.unary_unary_rpc_method_handler(ingest, request_deserializer=request_type.FromString,
                                                  response_serializer=response_type.SerializeToString)
    server.add_generic_rpc_handlers([grpc.method_handlers_generic_handler("wallaby.v1.IngestService", {"IngestBatch": handler})])
    settings = control()
    if "certificate" in settings:
        read = lambda name: open(settings[name], "rb").read()  # noqa: E731
        credentials = grpc.ssl_server_credentials([(read("key"), read("certificate"))], read("authority"), require_client_auth=True)
        server.add_secure_port(f"127.0.0.1:{PORT}", credentials)
    else:
        server.add_insecure_port(f"127.0.0.1:{PORT}")
    server.start()
    server.wait_for_termination()


serve_http() if KIND == "http" else serve_grpc()
