// An app that asks a service behind it. It ends by itself once nothing is open any more.
const http = require("http");

const server = http.createServer((request, response) => {
  http.get(`http://${process.env.UPSTREAM}${request.url}`, (answer) => answer.pipe(response));
});
server.listen(process.env.PORT, process.env.HOST);
process.on("SIGTERM", () => server.close());
