"""`python mjpeg_server.py PORT`: a camera on the network, as many are: JPEGs over HTTP, 20 a second."""

import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import cv2
import numpy as np


class Handler(BaseHTTPRequestHandler):
    """Sends images until the viewer is gone."""

    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Type", "multipart/x-mixed-replace; boundary=next")
        self.end_headers()
        red = np.zeros((96, 144, 3), np.uint8)
        red[:, :, 2] = 255
        data = cv2.imencode(".jpg", red)[1].tobytes()
        while True:
            head = f"--next\r\nContent-Type: image/jpeg\r\nContent-Length: {len(data)}\r\n\r\n"
            self.wfile.write(head.encode() + data + b"\r\n")
            time.sleep(0.05)

    def log_message(self, format, *args):
        pass


class Server(ThreadingHTTPServer):
    daemon_threads = True
    allow_reuse_address = True

    def handle_error(self, request, client_address):
        pass


Server(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
