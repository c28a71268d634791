import Foundation

/// nginx with Nchan as Debian packs them: the peer that people run today.
///
/// One worker, because the figure is cost per delivery and not how many processors can be filled.
struct Nchan: Contender {
    let name = "nchan"
    let forms = StreamForm.ofPeers
    private static let module = "/usr/lib/nginx/modules/ngx_nchan_module.so"

    var obstacle: String? {
        guard Launcher.program("nginx") != nil, FileManager.default.fileExists(atPath: Self.module) else {
            return "not installed (apt-get install -y nginx-core libnginx-mod-nchan)"
        }
        return nil
    }

    func start(_ launcher: Launcher, giving form: StreamForm) throws -> RunningServer {
        let folder = try launcher.folder().path
        let port = try Socket.freePort()
        let file = folder + "/nginx.conf"
        let subscriber =
            switch form {
            case .webSocket, .eventSub: "websocket"
            case .eventStream: "eventsource"
            }
        try configuration(subscriber: subscriber, folder: folder, port: port)
            .write(toFile: file, atomically: false, encoding: .utf8)
        let errors = URL(fileURLWithPath: folder + "/stderr")
        let process = try launcher.spawn([Launcher.program("nginx")!, "-c", file, "-p", folder], errors: errors)
        try launcher.waitForPort(port)
        let endpoint = Endpoint(
            publishPort: port, subscribePort: port, subscribePaths: { Array(repeating: "/sub", count: $0) },
            request: { HTTPText.request("POST", "/pub", body: EventMessage.json($0, as: form)) },
            numbering: .poster(log: nil))
        return RunningServer(process: process, endpoint: endpoint)
    }

    private func configuration(subscriber: String, folder: String, port: UInt16) -> String {
        """
        load_module \(Self.module);
        daemon off;
        worker_processes 1;
        worker_rlimit_nofile 19900;
        error_log \(folder)/error.log crit;
        pid \(folder)/nginx.pid;
        events { worker_connections 19000; multi_accept on; use epoll; }
        http {
            access_log off;
            tcp_nodelay on;
            keepalive_requests 10000000;
            client_body_temp_path \(folder)/body;
            proxy_temp_path \(folder)/proxy;
            fastcgi_temp_path \(folder)/fastcgi;
            uwsgi_temp_path \(folder)/uwsgi;
            scgi_temp_path \(folder)/scgi;
            server {
                listen 127.0.0.1:\(port) backlog=4096;
                location = /pub {
                    nchan_publisher;
                    nchan_channel_id bench;
                    nchan_message_buffer_length 100;
                    nchan_message_timeout 5s;
                }
                location = /sub {
                    nchan_subscriber \(subscriber);
                    nchan_channel_id bench;
                    nchan_subscriber_first_message newest;
                }
            }
        }
        """
    }
}
