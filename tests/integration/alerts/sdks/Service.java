import com.sun.net.httpserver.HttpServer;
import java.net.InetSocketAddress;
import java.util.concurrent.Executors;

/** A service as OpenTelemetry's Java agent leaves it: one good route, one that fails, one that is slow. */
class Service {
    public static void main(String[] arguments) throws Exception {
        HttpServer server = HttpServer.create(new InetSocketAddress("127.0.0.1", Integer.parseInt(arguments[0])), 0);
        server.setExecutor(Executors.newFixedThreadPool(8));
        answer(server, "/good", 200, 0);
        answer(server, "/bad", 503, 0);
        answer(server, "/slow", 200, 1200);
        server.start();
    }

    static void answer(HttpServer server, String path, int status, long milliseconds) {
        server.createContext(path, exchange -> {
            try {
                Thread.sleep(milliseconds);
            } catch (InterruptedException interrupted) {
                Thread.currentThread().interrupt();
            }
            exchange.sendResponseHeaders(status, -1);
            exchange.close();
        });
    }
}
