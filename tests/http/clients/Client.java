import java.io.ByteArrayInputStream;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpRequest.BodyPublisher;
import java.net.http.HttpRequest.BodyPublishers;
import java.net.http.HttpResponse.BodyHandlers;

/** Java's HttpClient as it is by default: it asks for HTTP/2 by an upgrade. */
class Client {
    private static final HttpClient CLIENT = HttpClient.newHttpClient();

    public static void main(String[] arguments) throws Exception {
        String url = arguments[0], body = arguments[1];
        ask(url + "/predict", "POST", BodyPublishers.ofString(body));
        ask(url + "/predict", "POST", BodyPublishers.ofString(body));
        ask(url + "/predict", "POST", BodyPublishers.ofInputStream(() -> new ByteArrayInputStream(body.getBytes())));
        ask(url + "/predict", "POST", BodyPublishers.ofString("{"));
        ask(url + "/live", "HEAD", BodyPublishers.noBody());
    }

    private static void ask(String url, String method, BodyPublisher body) throws Exception {
        HttpRequest request = HttpRequest.newBuilder(URI.create(url)).header("content-type", "application/json")
            .method(method, body).build();
        var answer = CLIENT.send(request, BodyHandlers.ofString());
        System.out.println(answer.statusCode() + " " + answer.body().length());
    }
}
