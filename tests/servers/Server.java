// An app that asks a service behind it. A JVM runs its shutdown hooks on SIGTERM, and ends with 143 after them.
import com.sun.net.httpserver.HttpServer;
import java.net.HttpURLConnection;
import java.net.InetSocketAddress;
import java.net.URL;
import java.util.concurrent.Executors;

public class Server {
    public static void main(String[] none) throws Exception {
        int port = Integer.parseInt(System.getenv("PORT"));
        HttpServer server = HttpServer.create(new InetSocketAddress(System.getenv("HOST"), port), 0);
        server.setExecutor(Executors.newCachedThreadPool());
        server.createContext("/", exchange -> {
            URL url = new URL("http://" + System.getenv("UPSTREAM") + exchange.getRequestURI());
            byte[] body = ((HttpURLConnection) url.openConnection()).getInputStream().readAllBytes();
            exchange.sendResponseHeaders(200, body.length);
            exchange.getResponseBody().write(body);
            exchange.close();
        });
        // Closes the port, and waits for what is in flight, 20 s at most.
        Runtime.getRuntime().addShutdownHook(new Thread(() -> server.stop(20)));
        server.start();
    }
}
