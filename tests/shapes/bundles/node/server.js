const http = require("http");
const ms = require("ms");

http
  .createServer((request, response) => {
    const asked = decodeURIComponent(request.url.slice(1));
    response.setHeader("content-type", "application/json");
    response.end(JSON.stringify({ asked, ms: asked ? ms(asked) ?? null : null }));
  })
  .listen(process.env.PORT || 7860, "0.0.0.0");
