// Everything is readable without this: it only adds a filter over all cases.
(function () {
  var all = document.getElementById("all-cases");
  if (!all) return;
  var label = document.createElement("label");
  label.className = "filter";
  label.textContent = "Filter cases ";
  var input = document.createElement("input");
  input.type = "search";
  input.placeholder = "name, status or reason";
  label.appendChild(input);
  all.insertBefore(label, all.firstElementChild.nextSibling);
  input.addEventListener("input", function () {
    var words = input.value.toLowerCase().split(/\s+/).filter(Boolean);
    all.querySelectorAll("details").forEach(function (suite) {
      var shown = 0;
      suite.querySelectorAll("tbody tr").forEach(function (row) {
        var text = (suite.dataset.suite + " " + row.textContent).toLowerCase();
        row.hidden = !words.every(function (word) { return text.includes(word); });
        if (!row.hidden) shown += 1;
      });
      suite.hidden = shown === 0;
      suite.open = words.length > 0 && shown > 0;
    });
  });
})();
