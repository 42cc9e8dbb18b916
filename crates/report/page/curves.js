// One small drawing for each number that the run logged.
(function () {
  const box = document.getElementById("curves");
  if (!DATA.curves.length) {
    document.getElementById("curves-section").remove();
    document.querySelector("nav a[href='#curves-section']").remove();
    return;
  }
  const digits = value => Math.abs(value) >= 1000 || (value !== 0 && Math.abs(value) < 0.001) ? value.toExponential(1) : String(+value.toPrecision(3));

  function draw(canvas, curve) {
    const ratio = window.devicePixelRatio || 1;
    const [width, height] = [canvas.clientWidth, canvas.clientHeight];
    canvas.width = width * ratio;
    canvas.height = height * ratio;
    const pen = canvas.getContext("2d");
    pen.setTransform(ratio, 0, 0, ratio, 0, 0);
    const steps = curve.points.map(point => point[0]), values = curve.points.map(point => point[1]);
    const [first, last] = [steps[0], steps[steps.length - 1]];
    const [low, high] = [Math.min(...values), Math.max(...values)];
    const x = step => 8 + (step - first) / (last - first || 1) * (width - 16);
    const y = value => height - 20 - (value - low) / (high - low || 1) * (height - 48);
    const style = getComputedStyle(document.body);
    pen.fillStyle = style.color;
    pen.font = "13px system-ui, sans-serif";
    pen.fillText(curve.name.replaceAll("_", " ") + ": " + digits(values[values.length - 1]), 8, 16);
    pen.font = "11px system-ui, sans-serif";
    pen.globalAlpha = 0.65;
    pen.fillText(digits(low) + " to " + digits(high), 8, height - 5);
    pen.fillText("step " + Math.round(last), width - 70, height - 5);
    pen.globalAlpha = 1;
    pen.strokeStyle = "hsl(212 80% 52%)";
    pen.lineWidth = 1.5;
    pen.beginPath();
    curve.points.forEach(([step, value], at) => at ? pen.lineTo(x(step), y(value)) : pen.moveTo(x(step), y(value)));
    pen.stroke();
  }

  for (const curve of DATA.curves) {
    const canvas = make("canvas", { "aria-label": curve.name });
    box.append(canvas);
    new ResizeObserver(() => draw(canvas, curve)).observe(canvas);
  }
})();
