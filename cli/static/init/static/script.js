// A Lissajous figure: two oscillations, one across and one down.
const canvas = document.querySelector("canvas");
const pen = canvas.getContext("2d");

function draw() {
    const a = Number(document.getElementById("a").value);
    const b = Number(document.getElementById("b").value);
    pen.clearRect(0, 0, canvas.width, canvas.height);
    pen.strokeStyle = "#ffd166";
    pen.lineWidth = 3;
    pen.beginPath();
    for (let i = 0; i <= 1000; i++) {
        const t = (i / 1000) * 2 * Math.PI;
        pen.lineTo(200 + 180 * Math.sin(a * t), 200 + 180 * Math.sin(b * t + 1));
    }
    pen.stroke();
}

for (const input of document.querySelectorAll("input")) {
    input.addEventListener("input", draw);
}
draw();
