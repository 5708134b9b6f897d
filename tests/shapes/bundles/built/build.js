const fs = require("fs");
const mustache = require("mustache");

const page = fs.readFileSync("src/index.mustache", "utf8");
fs.mkdirSync("dist", { recursive: true });
fs.writeFileSync("dist/index.html", mustache.render(page, { title: "Built here", cubes: [1, 2, 3].map((n) => n ** 3) }));
