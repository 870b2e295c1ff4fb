# Varnish in front of sealcastd.
vcl 4.1;

backend sealcastd {
  .host = "127.0.0.1";
  .port = "8080";
  .probe = {
    .request = "GET /readyz HTTP/1.1" "Host: sealcastd" "Connection: close";
    .interval = 1s;
    .window = 2;
    .threshold = 1;
  }
}

sub vcl_recv {
  if (req.url ~ "^/(healthz|readyz|metrics)([?]|$)") {
    return (synth(403));
  }
  # Event streams are passed on byte by byte, each on a connection of its own. The idle timeout pipe_timeout (60 s) must
  # be longer than sse.heartbeat_ms.
  if (req.method == "GET" && req.url ~ "^/streams/[^/?]+/events([?]|$)") {
    return (pipe);
  }
  return (pass);
}
