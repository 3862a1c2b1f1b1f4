// Comfort only: the page says everything without it.
(function () {
  "use strict";
  // A click on a column's head sorts by it; empty cells stay last.
  document.querySelectorAll("table.sortable").forEach(function (table) {
    var heads = Array.prototype.slice.call(table.tHead.rows[0].cells);
    heads.forEach(function (head, column) {
      if (!head.hasAttribute("data-sort")) return;
      var button = document.createElement("button");
      button.type = "button";
      button.textContent = head.textContent;
      head.textContent = "";
      head.appendChild(button);
      button.addEventListener("click", function () {
        var down = head.getAttribute("aria-sort") === "ascending";
        heads.forEach(function (h) { h.removeAttribute("aria-sort"); });
        head.setAttribute("aria-sort", down ? "descending" : "ascending");
        var body = table.tBodies[0];
        var key = function (row) {
          var value = row.cells[column].getAttribute("data-key");
          return value === null || value === "" ? null : Number(value);
        };
        Array.prototype.slice.call(body.rows).sort(function (a, b) {
          var x = key(a), y = key(b);
          if (x === null || y === null) return (x === null) - (y === null);
          return down ? y - x : x - y;
        }).forEach(function (row) { body.appendChild(row); });
      });
    });
  });
  // Tooltips at once instead of after the browser's pause.
  var tip = document.createElement("div");
  tip.className = "tip";
  tip.setAttribute("aria-hidden", "true");
  tip.hidden = true;
  document.body.appendChild(tip);
  document.querySelectorAll("svg g > title").forEach(function (title) {
    title.parentNode.setAttribute("data-tip", title.textContent);
    title.remove();
  });
  // The browser's own tooltip with the whole chart's name would cover ours.
  document.querySelectorAll("svg > title").forEach(function (title) { title.remove(); });
  document.addEventListener("pointermove", function (event) {
    var mark = event.target.closest ? event.target.closest("[data-tip]") : null;
    tip.hidden = !mark;
    if (!mark) return;
    tip.textContent = mark.getAttribute("data-tip");
    var right = event.clientX + 16 + tip.offsetWidth > document.documentElement.clientWidth;
    var below = event.clientY + 16 + tip.offsetHeight > document.documentElement.clientHeight;
    tip.style.left = Math.max(4, right ? event.clientX - 12 - tip.offsetWidth : event.clientX + 16) + "px";
    tip.style.top = Math.max(4, below ? event.clientY - 12 - tip.offsetHeight : event.clientY + 16) + "px";
  });
})();
