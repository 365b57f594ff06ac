<?xml version="1.0" encoding="utf-8"?>
<!DOCTYPE TS>
<TS version="2.1" language="de">
  <context>
    <name>SSLKD</name>
    <message>
      <source>Roads</source>
      <translation>Straßen</translation>
    </message>
    <message>
      <source>Threshold (above 0, to 1)</source>
      <translation>Schwellenwert (über 0, bis 1)</translation>
    </message>
    <message>
      <source>Tile (pixels, a multiple of 32)</source>
      <translation>Kachel (Pixel, ein Vielfaches von 32)</translation>
    </message>
    <message>
      <source>Tiles at a time</source>
      <translation>Kacheln auf einmal</translation>
    </message>
    <message>
      <source>Pixel size of layers from servers (metres)</source>
      <translation>Pixelgröße von Layern von Servern (Meter)</translation>
    </message>
    <message>
      <source>Most tiles to copy of a layer</source>
      <translation>Höchstzahl der Kacheln, die von einem Layer kopiert werden</translation>
    </message>
    <message>
      <source>Least area (square metres)</source>
      <translation>Mindestfläche (Quadratmeter)</translation>
    </message>
    <message>
      <source>Holes to fill (square metres)</source>
      <translation>Zu füllende Löcher (Quadratmeter)</translation>
    </message>
    <message>
      <source>Simplification (metres)</source>
      <translation>Vereinfachung (Meter)</translation>
    </message>
    <message>
      <source>Smoothing (metres)</source>
      <translation>Glättung (Meter)</translation>
    </message>
    <message>
      <source>Gaps to bridge (metres)</source>
      <translation>Zu überbrückende Lücken (Meter)</translation>
    </message>
    <message>
      <source>Model file</source>
      <translation>Modelldatei</translation>
    </message>
    <message>
      <source>Overlap of tiles (pixels)</source>
      <translation>Überlappung der Kacheln (Pixel)</translation>
    </message>
    <message>
      <source>Nodata value</source>
      <translation>NoData-Wert</translation>
    </message>
    <message>
      <source>Device</source>
      <translation>Gerät</translation>
    </message>
    <message>
      <source>Road outlines</source>
      <translation>Straßenumrisse</translation>
    </message>
    <message>
      <source>Road centre lines</source>
      <translation>Straßenmittellinien</translation>
    </message>
    <message>
      <source>Raster</source>
      <translation>Raster</translation>
    </message>
    <message>
      <source>By name: {}.</source>
      <translation>Mit Namen: {}.</translation>
    </message>
    <message>
      <source>The tile must be a multiple of {} pixels, and {} is not.</source>
      <translation>Die Kachel muss ein Vielfaches von {} Pixeln sein, und {} ist keines.</translation>
    </message>
    <message>
      <source>SSLKD model</source>
      <translation>SSLKD-Modell</translation>
    </message>
    <message>
      <source>The coordinate reference system {} is not known: choose one such as EPSG:25832.</source>
      <translation>Das Koordinatenbezugssystem {} ist nicht bekannt: Wählen Sie eines wie EPSG:25832.</translation>
    </message>
    <message>
      <source>The layer {} holds no {}: draw some, or check its filter and its selection.</source>
      <translation>Der Layer {} enthält kein Objekt dieser Art ({}): Zeichnen Sie welche, oder prüfen Sie seinen Filter und seine Auswahl.</translation>
    </message>
    <message>
      <source>There is no model file {}: choose one that Train SSLKD made.</source>
      <translation>Es gibt keine Modelldatei {}: Wählen Sie eine aus „SSLKD trainieren“.</translation>
    </message>
    <message>
      <source>The overlap ({} pixels) must be smaller than the tile ({} pixels).</source>
      <translation>Die Überlappung ({} Pixel) muss kleiner als die Kachel ({} Pixel) sein.</translation>
    </message>
    <message>
      <source>The output {} is one of the inputs; give it another name.</source>
      <translation>Die Ausgabe {} ist eine der Eingaben; geben Sie ihr einen anderen Namen.</translation>
    </message>
    <message>
      <source>The output {} would replace the file of the layer {}, which has edits that are not saved yet: save or drop them first, or give the output another name.</source>
      <translation>Die Ausgabe {} würde die Datei des Layers {} ersetzen, der Änderungen hat, die noch nicht gespeichert sind: Speichern oder verwerfen Sie diese zuerst, oder geben Sie der Ausgabe einen anderen Namen.</translation>
    </message>
    <message>
      <source>The layer {} cannot be read: mend or remove it first.</source>
      <translation>Der Layer {} kann nicht gelesen werden: Reparieren oder entfernen Sie ihn zuerst.</translation>
    </message>
    <message>
      <source>The output {} is a table of a database: name a file of its own instead.</source>
      <translation>Die Ausgabe {} ist eine Tabelle einer Datenbank: Nennen Sie stattdessen eine eigene Datei.</translation>
    </message>
    <message>
      <source>“{}” takes a number, and {} is none.</source>
      <translation>„{}“ verlangt eine Zahl, und {} ist keine.</translation>
    </message>
    <message>
      <source>Detect roads</source>
      <translation>Straßen erkennen</translation>
    </message>
    <message>
      <source>Finds the roads in a raster with a model that Train SSLKD made</source>
      <translation>Findet die Straßen in einem Raster mit einem Modell aus „SSLKD trainieren“</translation>
    </message>
    <message>
      <source>Finds the roads in a raster with a model that &lt;i&gt;Train SSLKD&lt;/i&gt; made.

&lt;b&gt;Raster&lt;/b&gt;: imagery like that of the training, with the same bands.
&lt;b&gt;Model file&lt;/b&gt;: the student, as &lt;i&gt;Train SSLKD&lt;/i&gt; made it.
&lt;b&gt;Extent&lt;/b&gt;: the part to look at; without it, all of the raster.
&lt;b&gt;Area&lt;/b&gt;: polygons to look in; elsewhere the results hold nodata, and no time is spent.
&lt;b&gt;Threshold&lt;/b&gt;: a pixel is road from this probability on. Lower finds more roads, and more that are none.
&lt;b&gt;Least area&lt;/b&gt;: smaller patches are left out of the outlines and the centre lines.
&lt;b&gt;Simplification&lt;/b&gt;: how far a vector may leave the pixels' stairs; 0 keeps them, if smoothing is 0, too.

Advanced parameters that stay empty are chosen for the device and the model. If the memory runs out, look at fewer tiles at a time.
&lt;b&gt;Bands&lt;/b&gt;: those that the model learned from, in its order; without a choice, those of its colours where the raster declares them, else all but transparency.
&lt;b&gt;Nodata value&lt;/b&gt;: one that stands for nothing, besides what the raster declares.
&lt;b&gt;Resample to the model's pixel size&lt;/b&gt;: look at pixels as large as those of the training; the results keep the raster's own.
&lt;b&gt;Flip and turn&lt;/b&gt;: take the mean over eight looks.
&lt;b&gt;Holes to fill&lt;/b&gt;, &lt;b&gt;smoothing&lt;/b&gt; and &lt;b&gt;gaps to bridge&lt;/b&gt;: as in &lt;i&gt;Vectorise roads&lt;/i&gt;.
&lt;b&gt;Layers from servers&lt;/b&gt; (tiles, WMS) are copied first, inside the extent, which they need, at the pixel size on the ground, else at that of the model, or the next finer one that the server has; a tile has 256 by 256 pixels.
&lt;b&gt;Pixel size of layers from servers&lt;/b&gt; and &lt;b&gt;most tiles to copy of a layer&lt;/b&gt;: how fine, and how much at most.
&lt;b&gt;Tile&lt;/b&gt;, &lt;b&gt;tiles at a time&lt;/b&gt; and &lt;b&gt;overlap of tiles&lt;/b&gt;: how much is looked at together.
&lt;b&gt;Device&lt;/b&gt;: auto takes the GPU where there is one.
&lt;b&gt;Precision&lt;/b&gt;: float32 is exact, bfloat16 may be faster.
&lt;b&gt;Write Cloud Optimised GeoTIFFs&lt;/b&gt;: rasters that can be read from a web server in parts.
&lt;b&gt;Coordinate reference system of the vectors&lt;/b&gt;: without it, the raster's.

The &lt;b&gt;road surface&lt;/b&gt; is 1 on roads, 0 elsewhere, nodata where the raster has none; the &lt;b&gt;road probability&lt;/b&gt; is from 0 to 1. &lt;b&gt;Road outlines&lt;/b&gt; are polygons with their areas. &lt;b&gt;Road centre lines&lt;/b&gt; are a connected network with widths and lengths in metres; &lt;i&gt;Vectorise roads&lt;/i&gt; makes them, and the outlines, again from the surface or the probability, with more to choose.

The rasters carry the coordinate reference system of the input and line up with its pixels.</source>
      <translation>Findet die Straßen in einem Raster mit einem Modell aus &lt;i&gt;SSLKD trainieren&lt;/i&gt;.

&lt;b&gt;Raster&lt;/b&gt;: Bilddaten wie die des Trainings, mit denselben Kanälen.
&lt;b&gt;Modelldatei&lt;/b&gt;: der Schüler, wie &lt;i&gt;SSLKD trainieren&lt;/i&gt; ihn schreibt.
&lt;b&gt;Ausdehnung&lt;/b&gt;: der Teil, in dem gesucht wird; ohne sie das ganze Raster.
&lt;b&gt;Gebiet&lt;/b&gt;: Polygone, in denen gesucht wird; anderswo enthalten die Ergebnisse NoData und kosten keine Zeit.
&lt;b&gt;Schwellenwert&lt;/b&gt;: Ab dieser Wahrscheinlichkeit ist ein Pixel Straße. Ein niedrigerer findet mehr Straßen, und mehr, die keine sind.
&lt;b&gt;Mindestfläche&lt;/b&gt;: Kleinere Flecken fehlen in Umrissen und Mittellinien.
&lt;b&gt;Vereinfachung&lt;/b&gt;: wie weit ein Vektor von den Stufen der Pixel abweichen darf; 0 behält sie, wenn auch die Glättung 0 ist.

Erweiterte Parameter, die leer bleiben, werden passend zu Gerät und Modell gewählt. Reicht der Speicher nicht, verarbeiten Sie weniger Kacheln auf einmal.
&lt;b&gt;Kanäle&lt;/b&gt;: die, mit denen das Modell trainiert wurde, in dessen Reihenfolge; ohne Auswahl die seiner Farben, wo das Raster sie angibt, sonst alle außer Transparenz.
&lt;b&gt;NoData-Wert&lt;/b&gt;: ein Wert, der für fehlende Daten steht, neben denen, die das Raster angibt.
&lt;b&gt;Auf die Pixelgröße des Modells umrechnen&lt;/b&gt;: das Modell sieht Pixel, die so groß sind wie die des Trainings; die Ergebnisse behalten die des Rasters.
&lt;b&gt;Spiegeln und drehen&lt;/b&gt;: nimmt das Mittel aus acht Ansichten.
&lt;b&gt;Zu füllende Löcher&lt;/b&gt;, &lt;b&gt;Glättung&lt;/b&gt; und &lt;b&gt;zu überbrückende Lücken&lt;/b&gt;: wie in &lt;i&gt;Straßen vektorisieren&lt;/i&gt;.
&lt;b&gt;Layer von Servern&lt;/b&gt; (Kacheln, WMS) werden zuerst kopiert, innerhalb der Ausdehnung, die sie brauchen, in der Pixelgröße am Boden, sonst in der des Modells oder der nächstfeineren, die der Server hat; eine Kachel hat 256 mal 256 Pixel.
&lt;b&gt;Pixelgröße von Layern von Servern&lt;/b&gt; und &lt;b&gt;Höchstzahl der Kacheln, die von einem Layer kopiert werden&lt;/b&gt;: wie fein, und wie viel höchstens.
&lt;b&gt;Kachel&lt;/b&gt;, &lt;b&gt;Kacheln auf einmal&lt;/b&gt; und &lt;b&gt;Überlappung der Kacheln&lt;/b&gt;: wie viel zusammen verarbeitet wird.
&lt;b&gt;Gerät&lt;/b&gt;: auto nimmt die GPU, wo es eine gibt.
&lt;b&gt;Genauigkeit&lt;/b&gt;: float32 ist exakt, bfloat16 kann schneller sein.
&lt;b&gt;Cloud-optimierte GeoTIFFs schreiben&lt;/b&gt;: Raster, die sich in Teilen von einem Webserver lesen lassen.
&lt;b&gt;Koordinatenbezugssystem der Vektoren&lt;/b&gt;: ohne Angabe das des Rasters.

Die &lt;b&gt;Straßenfläche&lt;/b&gt; ist 1 auf Straßen, sonst 0, und NoData, wo das Raster keine Werte hat; die &lt;b&gt;Straßenwahrscheinlichkeit&lt;/b&gt; reicht von 0 bis 1. &lt;b&gt;Straßenumrisse&lt;/b&gt; sind Polygone mit ihren Flächen. &lt;b&gt;Straßenmittellinien&lt;/b&gt; sind ein zusammenhängendes Netz mit Breiten und Längen in Metern; &lt;i&gt;Straßen vektorisieren&lt;/i&gt; macht sie und die Umrisse noch einmal aus der Fläche oder der Wahrscheinlichkeit, mit mehr Auswahl.

Die Raster haben das Koordinatenbezugssystem der Eingabe und liegen auf ihren Pixeln.</translation>
    </message>
    <message>
      <source>polygon</source>
      <translation>Polygon</translation>
    </message>
    <message>
      <source>Model</source>
      <translation>Modell</translation>
    </message>
    <message>
      <source>Threshold</source>
      <translation>Schwellenwert</translation>
    </message>
    <message>
      <source>Write Cloud Optimised GeoTIFFs</source>
      <translation>Cloud-optimierte GeoTIFFs schreiben</translation>
    </message>
    <message>
      <source>Coordinate reference system of the vectors</source>
      <translation>Koordinatenbezugssystem der Vektoren</translation>
    </message>
    <message>
      <source>Resample to the model's pixel size</source>
      <translation>Auf die Pixelgröße des Modells umrechnen</translation>
    </message>
    <message>
      <source>Flip and turn (slower, better)</source>
      <translation>Spiegeln und drehen (langsamer, besser)</translation>
    </message>
    <message>
      <source>roads,detect,extract,deep learning,segmentation,inference,predict</source>
      <translation>Straßen,erkennen,extrahieren,Deep Learning,Segmentierung,Inferenz,Vorhersage,roads,detect</translation>
    </message>
    <message>
      <source>Extent</source>
      <translation>Ausdehnung</translation>
    </message>
    <message>
      <source>Area</source>
      <translation>Gebiet</translation>
    </message>
    <message>
      <source>Precision</source>
      <translation>Genauigkeit</translation>
    </message>
    <message>
      <source>Bands</source>
      <translation>Kanäle</translation>
    </message>
    <message>
      <source>Road surface</source>
      <translation>Straßenfläche</translation>
    </message>
    <message>
      <source>Road probability</source>
      <translation>Straßenwahrscheinlichkeit</translation>
    </message>
    <message>
      <source>Model: {}</source>
      <translation>Modell: {}</translation>
    </message>
    <message>
      <source>The extent holds no part of the raster {}: draw it over the raster.</source>
      <translation>Die Ausdehnung enthält keinen Teil des Rasters {}: Ziehen Sie sie über dem Raster auf.</translation>
    </message>
    <message>
      <source>The raster {} has no band {}: choose from 1 to {}.</source>
      <translation>Das Raster {} hat keinen Kanal {}: Wählen Sie von 1 bis {}.</translation>
    </message>
    <message>
      <source>SSLKD diagnostics</source>
      <translation>SSLKD-Diagnose</translation>
    </message>
    <message>
      <source>Set-up</source>
      <translation>Einrichtung</translation>
    </message>
    <message>
      <source>Tells what is wrong with the environment of SSLKD, and what mends it</source>
      <translation>Sagt, was an der Umgebung von SSLKD nicht stimmt und was hilft</translation>
    </message>
    <message>
      <source>Looks at QGIS, the graphics driver, memory, disks and the worker's Python environment, and times a small network. Says what is wrong and what mends it.

&lt;b&gt;Report&lt;/b&gt;: a page for a browser. &lt;b&gt;Report as text&lt;/b&gt;: to be sent along with a question; it names versions and folders, but no password. &lt;b&gt;Problems found&lt;/b&gt;: their number.</source>
      <translation>Sieht sich QGIS, den Grafiktreiber, Speicher, Datenträger und die Python-Umgebung des Arbeitsprozesses an und misst die Zeit eines kleinen Netzes. Sagt, was nicht stimmt und was hilft.

&lt;b&gt;Bericht&lt;/b&gt;: eine Seite für einen Browser. &lt;b&gt;Bericht als Text&lt;/b&gt;: um ihn einer Frage beizulegen; er nennt Versionen und Ordner, aber kein Passwort. &lt;b&gt;Gefundene Probleme&lt;/b&gt;: ihre Zahl.</translation>
    </message>
    <message>
      <source>diagnose,report,versions,gpu,cuda,driver,memory,environment,help</source>
      <translation>Diagnose,Bericht,Versionen,GPU,CUDA,Treiber,Speicher,Umgebung,Hilfe,diagnose</translation>
    </message>
    <message>
      <source>Report</source>
      <translation>Bericht</translation>
    </message>
    <message>
      <source>Report as text</source>
      <translation>Bericht als Text</translation>
    </message>
    <message>
      <source>Problems found</source>
      <translation>Gefundene Probleme</translation>
    </message>
    <message>
      <source>HTML files</source>
      <translation>HTML-Dateien</translation>
    </message>
    <message>
      <source>Text files</source>
      <translation>Textdateien</translation>
    </message>
    <message>
      <source>{} cannot be written: {}</source>
      <translation>{} kann nicht geschrieben werden: {}</translation>
    </message>
    <message>
      <source>Evaluate roads</source>
      <translation>Straßen bewerten</translation>
    </message>
    <message>
      <source>Scores a road surface against drawn roads</source>
      <translation>Misst eine Straßenfläche an gezeichneten Straßen</translation>
    </message>
    <message>
      <source>Overall accuracy</source>
      <translation>Gesamtgenauigkeit</translation>
    </message>
    <message>
      <source>Recall</source>
      <translation>Trefferquote</translation>
    </message>
    <message>
      <source>IoU</source>
      <translation>IoU</translation>
    </message>
    <message>
      <source>F1</source>
      <translation>F1</translation>
    </message>
    <message>
      <source>Relaxed precision</source>
      <translation>Tolerante Genauigkeit</translation>
    </message>
    <message>
      <source>Relaxed recall</source>
      <translation>Tolerante Trefferquote</translation>
    </message>
    <message>
      <source>Relaxed F1</source>
      <translation>Tolerantes F1</translation>
    </message>
    <message>
      <source>Compares a road surface with drawn roads, pixel by pixel.

&lt;b&gt;Road surface&lt;/b&gt;: a raster of 1 road and 0 background, as &lt;i&gt;Detect roads&lt;/i&gt; makes it.
&lt;b&gt;Drawn roads&lt;/b&gt;: road surfaces as polygons, or roads as lines.
&lt;b&gt;Road width&lt;/b&gt;: what roads drawn as lines get, in metres.
&lt;b&gt;Area&lt;/b&gt;: where every road is drawn; nothing counts outside. Without it, all of the raster. Roads that a model learned from say nothing about it: leave their area out.
&lt;b&gt;Buffer&lt;/b&gt;: the relaxed scores forgive roads that are off by so many metres.

&lt;b&gt;Precision&lt;/b&gt; is the share of what is called road that is road, &lt;b&gt;recall&lt;/b&gt; the share of the roads that is found; &lt;b&gt;IoU&lt;/b&gt; and &lt;b&gt;F1&lt;/b&gt; are low if one of both is. &lt;b&gt;Overall accuracy&lt;/b&gt; is high where roads are few, even if none is found.

&lt;b&gt;Relaxed precision&lt;/b&gt;, &lt;b&gt;relaxed recall&lt;/b&gt; and &lt;b&gt;relaxed F1&lt;/b&gt; are those with the buffer. The map of &lt;b&gt;hits, misses and false alarms&lt;/b&gt; shows where they are. The &lt;b&gt;report&lt;/b&gt; explains the scores, shows the map, and scores each polygon of the area. A score is empty where it is undefined, as precision is where no road was found.</source>
      <translation>Vergleicht eine Straßenfläche Pixel für Pixel mit gezeichneten Straßen.

&lt;b&gt;Straßenfläche&lt;/b&gt;: ein Raster mit 1 für Straße und 0 für Hintergrund, wie &lt;i&gt;Straßen erkennen&lt;/i&gt; es macht.
&lt;b&gt;Gezeichnete Straßen&lt;/b&gt;: Straßenflächen als Polygone oder Straßen als Linien.
&lt;b&gt;Straßenbreite&lt;/b&gt;: was als Linien gezeichnete Straßen bekommen, in Metern.
&lt;b&gt;Gebiet&lt;/b&gt;: wo jede Straße gezeichnet ist; außerhalb zählt nichts. Ohne es das ganze Raster. Straßen, mit denen ein Modell trainiert wurde, sagen nichts über das Modell: Lassen Sie ihr Gebiet weg.
&lt;b&gt;Puffer&lt;/b&gt;: Die toleranten Maße verzeihen Straßen, die um so viele Meter danebenliegen.

&lt;b&gt;Genauigkeit&lt;/b&gt; ist der Anteil der als Straße bezeichneten Fläche, der Straße ist, &lt;b&gt;Trefferquote&lt;/b&gt; der Anteil der Straßen, der gefunden wurde; &lt;b&gt;IoU&lt;/b&gt; und &lt;b&gt;F1&lt;/b&gt; sind niedrig, wenn eine von beiden es ist. &lt;b&gt;Gesamtgenauigkeit&lt;/b&gt; ist hoch, wo es wenige Straßen gibt, selbst wenn keine gefunden wurde.

&lt;b&gt;Tolerante Genauigkeit&lt;/b&gt;, &lt;b&gt;tolerante Trefferquote&lt;/b&gt; und &lt;b&gt;tolerantes F1&lt;/b&gt; sind die mit dem Puffer. Die Karte &lt;b&gt;Treffer, Auslassungen und Fehlalarme&lt;/b&gt; zeigt, wo sie liegen. Der &lt;b&gt;Bericht&lt;/b&gt; erklärt die Maße, zeigt die Karte und bewertet jedes Polygon des Gebiets. Ein Maß ist leer, wo es nicht definiert ist, wie die Genauigkeit, wenn keine Straße gefunden wurde.</translation>
    </message>
    <message>
      <source>road</source>
      <translation>Straße</translation>
    </message>
    <message>
      <source>roads,evaluate,accuracy,precision,recall,iou,f1,confusion,validation,quality,compare</source>
      <translation>Straßen,bewerten,Genauigkeit,Trefferquote,IoU,F1,Validierung,Qualität,vergleichen,evaluate</translation>
    </message>
    <message>
      <source>Drawn roads (polygons, or lines)</source>
      <translation>Gezeichnete Straßen (Polygone oder Linien)</translation>
    </message>
    <message>
      <source>Road width (metres, for lines)</source>
      <translation>Straßenbreite (Meter, für Linien)</translation>
    </message>
    <message>
      <source>Buffer (metres)</source>
      <translation>Puffer (Meter)</translation>
    </message>
    <message>
      <source>Hits, misses and false alarms</source>
      <translation>Treffer, Auslassungen und Fehlalarme</translation>
    </message>
    <message>
      <source>Export to ONNX</source>
      <translation>Nach ONNX exportieren</translation>
    </message>
    <message>
      <source>Writes a model as an ONNX file, which the plugin Deepness and other programs run</source>
      <translation>Schreibt ein Modell als ONNX-Datei für die Erweiterung Deepness und andere Programme</translation>
    </message>
    <message>
      <source>Writes a model that &lt;i&gt;Train SSLKD&lt;/i&gt; made as an ONNX file, which other programs run: the plugin &lt;i&gt;Deepness&lt;/i&gt;, which needs no Set up SSLKD, or any that has ONNX Runtime.

&lt;b&gt;Model file&lt;/b&gt;: as &lt;i&gt;Train SSLKD&lt;/i&gt; made it.

The advanced parameters are where Deepness starts from; all but the tile can be changed there.
&lt;b&gt;Tile&lt;/b&gt;: the side of the images that the file takes.
&lt;b&gt;Overlap of tiles&lt;/b&gt;: what neighbouring tiles share; without a number, a quarter of the tile.
&lt;b&gt;Threshold&lt;/b&gt;: a pixel is road from this probability on.
&lt;b&gt;Least area&lt;/b&gt;: smaller patches are smoothed away. Deepness does so with a median filter, which also takes roads narrower than 0.7 times the side of a square of this area; 0 turns it off.

The &lt;b&gt;ONNX file&lt;/b&gt; takes the values of the raster divided by 255, in the bands and at the pixel size that the model learned from, and gives the probability of road. In Deepness, choose it as the model, load the default parameters, which lie in the file, and run.

Deepness looks at 8 bits, does not blend its tiles, and takes nodata for imagery: where this plugin runs, &lt;i&gt;Detect roads&lt;/i&gt; gives more.</source>
      <translation>Schreibt ein Modell aus &lt;i&gt;SSLKD trainieren&lt;/i&gt; als ONNX-Datei, die andere Programme ausführen: die Erweiterung &lt;i&gt;Deepness&lt;/i&gt;, die kein „SSLKD einrichten“ braucht, oder jedes mit ONNX Runtime.

&lt;b&gt;Modelldatei&lt;/b&gt;: wie &lt;i&gt;SSLKD trainieren&lt;/i&gt; sie schreibt.

Mit den erweiterten Parametern beginnt Deepness; alle außer der Kachel lassen sich dort ändern.
&lt;b&gt;Kachel&lt;/b&gt;: die Seite der Bilder, die die Datei nimmt.
&lt;b&gt;Überlappung der Kacheln&lt;/b&gt;: was benachbarte Kacheln gemeinsam haben; ohne Zahl ein Viertel der Kachel.
&lt;b&gt;Schwellenwert&lt;/b&gt;: Ab dieser Wahrscheinlichkeit ist ein Pixel Straße.
&lt;b&gt;Mindestfläche&lt;/b&gt;: Kleinere Flecken werden weggeglättet. Deepness tut das mit einem Medianfilter, der auch Straßen entfernt, die schmaler sind als das 0,7fache der Seite eines Quadrats dieser Fläche; 0 schaltet ihn ab.

Die &lt;b&gt;ONNX-Datei&lt;/b&gt; nimmt die Werte des Rasters geteilt durch 255, in den Kanälen und der Pixelgröße, mit denen das Modell trainiert wurde, und gibt die Wahrscheinlichkeit von Straße. Wählen Sie sie in Deepness als Modell, laden Sie die Standardparameter, die in der Datei liegen, und starten Sie.

Deepness verarbeitet 8 Bit, überblendet seine Kacheln nicht und hält NoData für Bilddaten: Wo diese Erweiterung läuft, leistet &lt;i&gt;Straßen erkennen&lt;/i&gt; mehr.</translation>
    </message>
    <message>
      <source>roads,export,onnx,deepness,deep learning,model,convert,share,onnxruntime</source>
      <translation>Straßen,exportieren,ONNX,Deepness,Deep Learning,Modell,umwandeln,weitergeben,onnxruntime</translation>
    </message>
    <message>
      <source>ONNX file</source>
      <translation>ONNX-Datei</translation>
    </message>
    <message>
      <source>ONNX files</source>
      <translation>ONNX-Dateien</translation>
    </message>
    <message>
      <source>The ONNX file {} must end in {}.</source>
      <translation>Die ONNX-Datei {} muss auf {} enden.</translation>
    </message>
    <message>
      <source>Set up SSLKD</source>
      <translation>SSLKD einrichten</translation>
    </message>
    <message>
      <source>Installs what the other algorithms need, apart from QGIS</source>
      <translation>Installiert, was die anderen Algorithmen außer QGIS brauchen</translation>
    </message>
    <message>
      <source>Checking that the environment works</source>
      <translation>Prüfe, ob die Umgebung funktioniert</translation>
    </message>
    <message>
      <source>Installs what the other algorithms of SSLKD need: a Python environment of its own with PyTorch, in your QGIS profile. QGIS's own Python stays as it is. It fetches some 200 MB to 3 GB and takes some 2 to 6 GB on the disk.

&lt;b&gt;Action&lt;/b&gt;: &lt;i&gt;install&lt;/i&gt; makes the environment, or renews it for another version of the plugin; &lt;i&gt;repair&lt;/i&gt; fetches and makes all anew; &lt;i&gt;use&lt;/i&gt; takes a Python of yours; &lt;i&gt;remove&lt;/i&gt; removes all that was installed.
&lt;b&gt;PyTorch&lt;/b&gt;: &lt;i&gt;auto&lt;/i&gt; chooses for this machine, with CUDA where there is an NVIDIA GPU; &lt;i&gt;lock&lt;/i&gt; takes the builds that SSLKD was made with, each file checked; &lt;i&gt;driver&lt;/i&gt; takes those for the installed graphics driver, from PyTorch's own site.
&lt;b&gt;Folder of wheels&lt;/b&gt;: installs from files in place of the network. On a machine of the same kind, with a network, fill it by &lt;i&gt;pip download --require-hashes -d FOLDER -r worker.txt -r tools.txt&lt;/i&gt;; the two lists are in the plugin's folder &lt;i&gt;requirements&lt;/i&gt;.
&lt;b&gt;Python to use&lt;/b&gt;: for &lt;i&gt;use&lt;/i&gt;, one that has the packages of &lt;i&gt;requirements/worker.txt&lt;/i&gt;.

&lt;b&gt;The worker's Python&lt;/b&gt;: the program that the other algorithms start from now on.

The proxy of QGIS's settings is used. Cancelling, or a failure, leaves what was there before.</source>
      <translation>Installiert, was die anderen Algorithmen von SSLKD brauchen: eine eigene Python-Umgebung mit PyTorch in Ihrem QGIS-Profil. Das Python von QGIS bleibt, wie es ist. Es werden etwa 200 MB bis 3 GB geholt und auf dem Datenträger etwa 2 bis 6 GB belegt.

&lt;b&gt;Aktion&lt;/b&gt;: &lt;i&gt;install&lt;/i&gt; legt die Umgebung an oder erneuert sie für eine andere Version der Erweiterung; &lt;i&gt;repair&lt;/i&gt; holt und macht alles neu; &lt;i&gt;use&lt;/i&gt; nimmt ein eigenes Python; &lt;i&gt;remove&lt;/i&gt; entfernt alles, was installiert wurde.
&lt;b&gt;PyTorch&lt;/b&gt;: &lt;i&gt;auto&lt;/i&gt; wählt für diesen Rechner, mit CUDA, wo es eine NVIDIA-GPU gibt; &lt;i&gt;lock&lt;/i&gt; nimmt die Pakete, mit denen SSLKD gemacht wurde, jede Datei geprüft; &lt;i&gt;driver&lt;/i&gt; nimmt die für den installierten Grafiktreiber von der Seite von PyTorch.
&lt;b&gt;Ordner mit Wheels&lt;/b&gt;: installiert aus Dateien statt aus dem Netz. Füllen Sie ihn auf einem Rechner derselben Art, der ein Netz hat, mit &lt;i&gt;pip download --require-hashes -d FOLDER -r worker.txt -r tools.txt&lt;/i&gt;; die beiden Listen liegen im Ordner &lt;i&gt;requirements&lt;/i&gt; der Erweiterung.
&lt;b&gt;Zu verwendendes Python&lt;/b&gt;: für &lt;i&gt;use&lt;/i&gt; eines, das die Pakete aus &lt;i&gt;requirements/worker.txt&lt;/i&gt; hat.

&lt;b&gt;Python des Arbeitsprozesses&lt;/b&gt;: das Programm, das die anderen Algorithmen von nun an starten.

Der Proxy aus den Einstellungen von QGIS wird verwendet. Ein Abbruch oder ein Fehler lässt, was vorher da war.</translation>
    </message>
    <message>
      <source>All files</source>
      <translation>Alle Dateien</translation>
    </message>
    <message>
      <source>The environment is there already; “repair” makes it anew.</source>
      <translation>Die Umgebung ist schon da; „repair“ legt sie neu an.</translation>
    </message>
    <message>
      <source>install,environment,python,dependencies,pytorch,cuda,gpu,repair,remove</source>
      <translation>installieren,Umgebung,Python,Abhängigkeiten,PyTorch,CUDA,GPU,reparieren,entfernen</translation>
    </message>
    <message>
      <source>Action</source>
      <translation>Aktion</translation>
    </message>
    <message>
      <source>PyTorch</source>
      <translation>PyTorch</translation>
    </message>
    <message>
      <source>Folder of wheels</source>
      <translation>Ordner mit Wheels</translation>
    </message>
    <message>
      <source>Python to use</source>
      <translation>Zu verwendendes Python</translation>
    </message>
    <message>
      <source>The worker's Python</source>
      <translation>Python des Arbeitsprozesses</translation>
    </message>
    <message>
      <source>“Python to use” and the action “use” go together: choose both or neither.</source>
      <translation>„Zu verwendendes Python“ und die Aktion „use“ gehören zusammen: Wählen Sie beides oder keines.</translation>
    </message>
    <message>
      <source>PyTorch “driver” comes from the network: choose “lock” with a folder of wheels.</source>
      <translation>PyTorch „driver“ kommt aus dem Netz: Wählen Sie „lock“, wenn es aus einem Ordner mit Wheels installiert wird.</translation>
    </message>
    <message>
      <source>It works: {device}, {forward_pass}.</source>
      <translation>Sie funktioniert: {device}, {forward_pass}.</translation>
    </message>
    <message>
      <source>The environment is there but does not work: the action “repair” makes it anew.</source>
      <translation>Die Umgebung ist da, funktioniert aber nicht: Die Aktion „repair“ legt sie neu an.</translation>
    </message>
    <message>
      <source>There is no folder {}.</source>
      <translation>Es gibt keinen Ordner {}.</translation>
    </message>
    <message>
      <source>The variable {} is set: the Python that it names goes first.</source>
      <translation>Die Variable {} ist gesetzt: Das Python, das sie nennt, geht vor.</translation>
    </message>
    <message>
      <source>Train SSLKD</source>
      <translation>SSLKD trainieren</translation>
    </message>
    <message>
      <source>Trains a road detector from imagery of which only a part is annotated</source>
      <translation>Trainiert einen Straßendetektor mit Bilddaten, von denen nur ein Teil annotiert ist</translation>
    </message>
    <message>
      <source>Pixel size to learn at (metres)</source>
      <translation>Pixelgröße zum Lernen (Meter)</translation>
    </message>
    <message>
      <source>Trains a road detector on your own imagery, of which only a part needs annotation.

Two large networks (the teachers) learn from the annotated part and teach each other on the rest; a smaller one (the student) then learns from both. The student is what is kept.

&lt;b&gt;Labelled rasters&lt;/b&gt;: imagery that holds the annotated area, all with the same bands.
&lt;b&gt;Annotations&lt;/b&gt;: road surfaces as polygons, or roads as lines.
&lt;b&gt;Road width&lt;/b&gt;: what roads drawn as lines get, in metres.
&lt;b&gt;Annotated area&lt;/b&gt;: where every road is drawn. Outside it, a pixel without a road is unknown, not background. Without it, the whole extent of the labelled rasters counts as annotated.
&lt;b&gt;Unlabelled rasters&lt;/b&gt;: more imagery of the same kind. Without it, the part of the labelled rasters outside the annotated area is used.
&lt;b&gt;Preset&lt;/b&gt;: quick suits a laptop without a GPU, balanced a GPU, paper is what the publication did.

Advanced parameters that stay empty follow the preset. &lt;b&gt;Method&lt;/b&gt;: sslkd; the others are what it is compared with in research. &lt;b&gt;Student's network&lt;/b&gt;: the later in the list, the lighter and the faster in detection. &lt;b&gt;Bands&lt;/b&gt;: their numbers, such as 4, 1, 2; by itself all but transparency. &lt;b&gt;Nodata value&lt;/b&gt;: one that stands for nothing, besides what the rasters declare. &lt;b&gt;Pixel size to learn at&lt;/b&gt;: coarser windows see more of the ground in the same time; by itself that of the labelled rasters, with quick 0.6 m where theirs is finer. &lt;b&gt;Steps of each stage&lt;/b&gt;: more take longer and learn more. &lt;b&gt;Tile&lt;/b&gt; and &lt;b&gt;tiles at a time&lt;/b&gt;: what a step looks at; less needs less memory. &lt;b&gt;Learning rate&lt;/b&gt;: how far a step goes. &lt;b&gt;Seed&lt;/b&gt;: another draws other tiles and weights. &lt;b&gt;Device&lt;/b&gt;: auto takes the GPU where there is one. &lt;b&gt;Starting weights&lt;/b&gt;: imagenet downloads weights that have seen photographs. A &lt;b&gt;settings file&lt;/b&gt; (TOML) sets everything else that the documentation lists; what is chosen here comes before it. With a &lt;b&gt;checkpoint folder&lt;/b&gt;, a training that was cancelled goes on where it stopped when it is started again with the same parameters.
&lt;b&gt;Layers from servers&lt;/b&gt; (tiles, WMS) are copied first, into the checkpoint folder if there is one; they need the extent and the pixel size on the ground, or get the next finer one that the server has. A tile has 256 by 256 pixels.
&lt;b&gt;Extent of layers from servers&lt;/b&gt;, &lt;b&gt;pixel size of layers from servers&lt;/b&gt; and &lt;b&gt;most tiles to copy of a layer&lt;/b&gt;: where, how fine, and how much at most.

The &lt;b&gt;model file&lt;/b&gt; is for &lt;i&gt;Detect roads&lt;/i&gt;. The &lt;b&gt;report&lt;/b&gt; is a page for a browser. &lt;b&gt;Validation IoU&lt;/b&gt; and &lt;b&gt;validation F1&lt;/b&gt; are measured on windows that were held out, from 0 to 1.</source>
      <translation>Trainiert einen Straßendetektor auf Ihren eigenen Bilddaten, von denen nur ein Teil annotiert sein muss.

Zwei große Netze (die Lehrer) lernen vom annotierten Teil und lehren einander auf dem Rest; ein kleineres (der Schüler) lernt dann von beidem. Der Schüler ist, was bleibt.

&lt;b&gt;Raster mit Annotationen&lt;/b&gt;: Bilddaten, in denen das annotierte Gebiet liegt, alle mit denselben Kanälen.
&lt;b&gt;Annotationen&lt;/b&gt;: Straßenflächen als Polygone oder Straßen als Linien.
&lt;b&gt;Straßenbreite&lt;/b&gt;: was als Linien gezeichnete Straßen bekommen, in Metern.
&lt;b&gt;Annotiertes Gebiet&lt;/b&gt;: wo jede Straße gezeichnet ist. Außerhalb ist ein Pixel ohne Straße unbekannt, nicht Hintergrund. Ohne es gilt die ganze Ausdehnung der Raster als annotiert.
&lt;b&gt;Raster ohne Annotationen&lt;/b&gt;: mehr Bilddaten derselben Art. Ohne sie wird der Teil außerhalb des annotierten Gebiets verwendet.
&lt;b&gt;Voreinstellung&lt;/b&gt;: quick passt zu einem Laptop ohne GPU, balanced zu einer GPU, paper ist, was die Veröffentlichung tat.

Erweiterte Parameter, die leer bleiben, folgen der Voreinstellung. &lt;b&gt;Methode&lt;/b&gt;: sslkd; die anderen sind das, womit es in der Forschung verglichen wird. &lt;b&gt;Netz des Schülers&lt;/b&gt;: Je später in der Liste, desto leichter ist es und desto schneller erkennt es. &lt;b&gt;Kanäle&lt;/b&gt;: ihre Nummern, etwa 4, 1, 2; von sich aus alle außer der Transparenz. &lt;b&gt;NoData-Wert&lt;/b&gt;: ein Wert, der für fehlende Daten steht, neben denen, die die Raster angeben. &lt;b&gt;Pixelgröße zum Lernen&lt;/b&gt;: Gröbere Ausschnitte zeigen in derselben Zeit mehr vom Boden; von sich aus die der Raster mit Annotationen, mit quick 0,6 m, wo ihre feiner ist. &lt;b&gt;Schritte jeder Stufe&lt;/b&gt;: Mehr dauern länger und lernen mehr. &lt;b&gt;Kachel&lt;/b&gt; und &lt;b&gt;Kacheln auf einmal&lt;/b&gt;: was ein Schritt verarbeitet; weniger braucht weniger Speicher. &lt;b&gt;Lernrate&lt;/b&gt;: wie weit ein Schritt geht. &lt;b&gt;Startwert des Zufalls&lt;/b&gt;: Ein anderer zieht andere Kacheln und Gewichte. &lt;b&gt;Gerät&lt;/b&gt;: auto nimmt die GPU, wo es eine gibt. &lt;b&gt;Anfangsgewichte&lt;/b&gt;: imagenet lädt Gewichte herunter, die Fotos gesehen haben. Eine &lt;b&gt;Einstellungsdatei&lt;/b&gt; (TOML) setzt alles Weitere, was die Dokumentation nennt; was hier gewählt ist, geht ihr vor. Mit einem &lt;b&gt;Ordner für Zwischenstände&lt;/b&gt; geht ein abgebrochenes Training dort weiter, wo es aufhörte, wenn es mit denselben Parametern noch einmal gestartet wird.
&lt;b&gt;Layer von Servern&lt;/b&gt; (Kacheln, WMS) werden zuerst kopiert, in den Ordner für Zwischenstände, wenn es einen gibt; sie brauchen die Ausdehnung und die Pixelgröße am Boden oder bekommen die nächstfeinere, die der Server hat. Eine Kachel hat 256 mal 256 Pixel.
&lt;b&gt;Ausdehnung von Layern von Servern&lt;/b&gt;, &lt;b&gt;Pixelgröße von Layern von Servern&lt;/b&gt; und &lt;b&gt;Höchstzahl der Kacheln, die von einem Layer kopiert werden&lt;/b&gt;: wo, wie fein, und wie viel höchstens.

Die &lt;b&gt;Modelldatei&lt;/b&gt; ist für &lt;i&gt;Straßen erkennen&lt;/i&gt;. Der &lt;b&gt;Bericht&lt;/b&gt; ist eine Seite für einen Browser. &lt;b&gt;Validierungs-IoU&lt;/b&gt; und &lt;b&gt;Validierungs-F1&lt;/b&gt; sind auf zurückgehaltenen Ausschnitten gemessen, von 0 bis 1.</translation>
    </message>
    <message>
      <source>Labelled rasters</source>
      <translation>Raster mit Annotationen</translation>
    </message>
    <message>
      <source>Bands (numbers, such as 4, 1, 2)</source>
      <translation>Kanäle (Nummern, etwa 4, 1, 2)</translation>
    </message>
    <message>
      <source>roads,train,deep learning,semi-supervised,distillation,segmentation</source>
      <translation>Straßen,trainieren,Deep Learning,halbüberwacht,Destillation,Segmentierung,train</translation>
    </message>
    <message>
      <source>Annotations (road polygons, or lines)</source>
      <translation>Annotationen (Straßenpolygone oder -linien)</translation>
    </message>
    <message>
      <source>Annotated area</source>
      <translation>Annotiertes Gebiet</translation>
    </message>
    <message>
      <source>Unlabelled rasters</source>
      <translation>Raster ohne Annotationen</translation>
    </message>
    <message>
      <source>Preset</source>
      <translation>Voreinstellung</translation>
    </message>
    <message>
      <source>Method</source>
      <translation>Methode</translation>
    </message>
    <message>
      <source>Student's network</source>
      <translation>Netz des Schülers</translation>
    </message>
    <message>
      <source>Steps of each stage</source>
      <translation>Schritte jeder Stufe</translation>
    </message>
    <message>
      <source>Learning rate</source>
      <translation>Lernrate</translation>
    </message>
    <message>
      <source>Seed</source>
      <translation>Startwert des Zufalls</translation>
    </message>
    <message>
      <source>Extent of layers from servers</source>
      <translation>Ausdehnung von Layern von Servern</translation>
    </message>
    <message>
      <source>Starting weights</source>
      <translation>Anfangsgewichte</translation>
    </message>
    <message>
      <source>Checkpoint folder</source>
      <translation>Ordner für Zwischenstände</translation>
    </message>
    <message>
      <source>Settings file</source>
      <translation>Einstellungsdatei</translation>
    </message>
    <message>
      <source>Validation IoU</source>
      <translation>Validierungs-IoU</translation>
    </message>
    <message>
      <source>Validation F1</source>
      <translation>Validierungs-F1</translation>
    </message>
    <message>
      <source>The model file is temporary, and goes when QGIS is closed: save {} elsewhere.</source>
      <translation>Die Modelldatei ist vorläufig und verschwindet, wenn QGIS geschlossen wird: {} woanders speichern.</translation>
    </message>
    <message>
      <source>TOML files</source>
      <translation>TOML-Dateien</translation>
    </message>
    <message>
      <source>{} is no number of a band: name bands such as 4, 1, 2.</source>
      <translation>{} ist keine Nummer eines Kanals: Nennen Sie Kanäle wie 4, 1, 2.</translation>
    </message>
    <message>
      <source>Vectorise roads</source>
      <translation>Straßen vektorisieren</translation>
    </message>
    <message>
      <source>Makes outlines and centre lines for a map from a raster of roads</source>
      <translation>Macht aus einem Raster von Straßen Umrisse und Mittellinien für eine Karte</translation>
    </message>
    <message>
      <source>Makes outlines and centre lines for a map from a raster of roads, whatever made it.

&lt;b&gt;Raster&lt;/b&gt;: a road surface (1 road, 0 background), the probability of road (0 to 1) or classes, in one band.
&lt;b&gt;Class of road&lt;/b&gt;: the value that is road, for a raster of classes, or a mask of 0 and 255; empty for others.
&lt;b&gt;Threshold&lt;/b&gt;: of a probability, a pixel is road from this value on.
&lt;b&gt;Least area&lt;/b&gt;: smaller roads are left out.
&lt;b&gt;Holes to fill&lt;/b&gt;: smaller holes are filled, as parked cars and trees leave them.
&lt;b&gt;Simplification&lt;/b&gt;: how far a vector may leave the pixels' stairs; 0 keeps them, if smoothing is 0, too.
&lt;b&gt;Smoothing&lt;/b&gt;: as far from a corner, it is rounded off; 0 keeps the corners.
&lt;b&gt;Gaps to bridge&lt;/b&gt;: interruptions of the centre lines up to this length are closed.
&lt;b&gt;Coordinate reference system of the vectors&lt;/b&gt;: without it, the raster's.

&lt;b&gt;Road outlines&lt;/b&gt; are valid polygons with their area and, from a probability, its mean. &lt;b&gt;Road centre lines&lt;/b&gt; are a connected network with widths and lengths. All measures are metres on the ground, whatever the coordinate reference system.</source>
      <translation>Macht Umrisse und Mittellinien für eine Karte aus einem Raster von Straßen, was immer es gemacht hat.

&lt;b&gt;Raster&lt;/b&gt;: eine Straßenfläche (1 Straße, 0 Hintergrund), die Wahrscheinlichkeit von Straße (0 bis 1) oder Klassen in einem Kanal.
&lt;b&gt;Klasse der Straßen&lt;/b&gt;: der Wert, der Straße ist, für ein Raster von Klassen oder eine Maske aus 0 und 255; sonst leer.
&lt;b&gt;Schwellenwert&lt;/b&gt;: Von einer Wahrscheinlichkeit ist ein Pixel ab diesem Wert Straße.
&lt;b&gt;Mindestfläche&lt;/b&gt;: Kleinere Straßen fehlen.
&lt;b&gt;Zu füllende Löcher&lt;/b&gt;: Kleinere Löcher werden gefüllt, wie parkende Autos und Bäume sie lassen.
&lt;b&gt;Vereinfachung&lt;/b&gt;: wie weit ein Vektor von den Stufen der Pixel abweichen darf; 0 behält sie, wenn auch die Glättung 0 ist.
&lt;b&gt;Glättung&lt;/b&gt;: wie weit vor einer Ecke die Abrundung beginnt; 0 behält die Ecken.
&lt;b&gt;Zu überbrückende Lücken&lt;/b&gt;: Unterbrechungen der Mittellinien bis zu dieser Länge werden geschlossen.
&lt;b&gt;Koordinatenbezugssystem der Vektoren&lt;/b&gt;: ohne Angabe das des Rasters.

&lt;b&gt;Straßenumrisse&lt;/b&gt; sind gültige Polygone mit ihrer Fläche und, aus einer Wahrscheinlichkeit, deren Mittel. &lt;b&gt;Straßenmittellinien&lt;/b&gt; sind ein zusammenhängendes Netz mit Breiten und Längen. Alle Maße sind Meter am Boden, in jedem Koordinatenbezugssystem.</translation>
    </message>
    <message>
      <source>roads,vectorise,vectorize,polygonize,outlines,centre lines,centerlines,skeleton,network</source>
      <translation>Straßen,vektorisieren,polygonisieren,Umrisse,Mittellinien,Skelett,Netz,vectorise</translation>
    </message>
    <message>
      <source>Raster (road surface, probability or classes)</source>
      <translation>Raster (Straßenfläche, -wahrscheinlichkeit oder Klassen)</translation>
    </message>
    <message>
      <source>Class of road (for a raster of classes)</source>
      <translation>Klasse der Straßen (für ein Raster von Klassen)</translation>
    </message>
    <message>
      <source>No output is asked for: choose outlines, centre lines or both.</source>
      <translation>Es wird keine Ausgabe verlangt: Wählen Sie Umrisse, Mittellinien oder beides.</translation>
    </message>
    <message>
      <source>The system has ended the worker, as it does where memory runs out: close other programs, or choose smaller tiles and fewer at a time.</source>
      <translation>Das System hat den Arbeitsprozess beendet, wie es das tut, wenn der Speicher ausgeht: Schließen Sie andere Programme, oder wählen Sie kleinere Kacheln und weniger auf einmal.</translation>
    </message>
    <message>
      <source>it left no message</source>
      <translation>er hinterließ keine Nachricht</translation>
    </message>
    <message>
      <source>Cancelled: what was not whole was removed.</source>
      <translation>Abgebrochen: Was nicht vollständig war, wurde entfernt.</translation>
    </message>
    <message>
      <source>The worker ended unexpectedly (exit code {}): {}</source>
      <translation>Der Arbeitsprozess endete unerwartet (Rückgabewert {}): {}</translation>
    </message>
    <message>
      <source>Cancelled too late: all was done by then, and the results are written.</source>
      <translation>Zu spät abgebrochen: alles war schon fertig, und die Ergebnisse sind geschrieben.</translation>
    </message>
    <message>
      <source>The worker's Python {} cannot be started ({}). {}</source>
      <translation>Das Python des Arbeitsprozesses {} kann nicht gestartet werden ({}). {}</translation>
    </message>
    <message>
      <source>({} more lines)</source>
      <translation>({} weitere Zeilen)</translation>
    </message>
    <message>
      <source>Problems</source>
      <translation>Probleme</translation>
    </message>
    <message>
      <source>QGIS</source>
      <translation>QGIS</translation>
    </message>
    <message>
      <source>no</source>
      <translation>nein</translation>
    </message>
    <message>
      <source>Paths and network</source>
      <translation>Pfade und Netzwerk</translation>
    </message>
    <message>
      <source>Graphics</source>
      <translation>Grafik</translation>
    </message>
    <message>
      <source>System</source>
      <translation>System</translation>
    </message>
    <message>
      <source>Profile</source>
      <translation>Profil</translation>
    </message>
    <message>
      <source>Environment</source>
      <translation>Umgebung</translation>
    </message>
    <message>
      <source>Made by set-up</source>
      <translation>Durch die Einrichtung angelegt</translation>
    </message>
    <message>
      <source>Free space in the profile</source>
      <translation>Freier Platz im Profil</translation>
    </message>
    <message>
      <source>Folder of temporary files</source>
      <translation>Ordner der temporären Dateien</translation>
    </message>
    <message>
      <source>Free space there</source>
      <translation>Freier Platz dort</translation>
    </message>
    <message>
      <source>Proxy of QGIS</source>
      <translation>Proxy von QGIS</translation>
    </message>
    <message>
      <source>Worker's Python</source>
      <translation>Python des Arbeitsprozesses</translation>
    </message>
    <message>
      <source>Worker</source>
      <translation>Arbeitsprozess</translation>
    </message>
    <message>
      <source>none found</source>
      <translation>keine gefunden</translation>
    </message>
    <message>
      <source>by SSLKD {}, PyTorch {}</source>
      <translation>von SSLKD {}, PyTorch {}</translation>
    </message>
    <message>
      <source>none</source>
      <translation>keiner</translation>
    </message>
    <message>
      <source>GPU {} (name, driver, memory)</source>
      <translation>GPU {} (Name, Treiber, Speicher)</translation>
    </message>
    <message>
      <source>NVIDIA driver</source>
      <translation>NVIDIA-Treiber</translation>
    </message>
    <message>
      <source>Program</source>
      <translation>Programm</translation>
    </message>
    <message>
      <source>There are {} free in {}: make room.</source>
      <translation>Es sind {} frei in {}: Schaffen Sie Platz.</translation>
    </message>
    <message>
      <source>nvidia-smi failed: {}</source>
      <translation>nvidia-smi ist fehlgeschlagen: {}</translation>
    </message>
    <message>
      <source>Run “Set up SSLKD” in the Processing Toolbox (sslkd:setup); it can also use a Python of yours that has the packages of requirements/worker.txt.</source>
      <translation>Führen Sie „SSLKD einrichten“ in der Werkzeugkiste aus (sslkd:setup); es kann auch ein eigenes Python verwenden, das die Pakete aus requirements/worker.txt hat.</translation>
    </message>
    <message>
      <source>The Python {} is gone, which the environment of SSLKD's worker needs. {}</source>
      <translation>Das Python {}, das die Umgebung des Arbeitsprozesses braucht, ist nicht mehr da. {}</translation>
    </message>
    <message>
      <source>SSLKD has no Python environment for its worker yet. {}</source>
      <translation>SSLKD hat noch keine Python-Umgebung für seinen Arbeitsprozess. {}</translation>
    </message>
    <message>
      <source>The Python environment of SSLKD's worker was made for another version ({version}). {mend}</source>
      <translation>Die Python-Umgebung des Arbeitsprozesses von SSLKD wurde für eine andere Version angelegt ({version}). {mend}</translation>
    </message>
    <message>
      <source>{origin} points at {python}, which is no program that can be run. {mend}</source>
      <translation>{origin} zeigt auf {python}; das ist kein ausführbares Programm. {mend}</translation>
    </message>
    <message>
      <source>unknown</source>
      <translation>unbekannt</translation>
    </message>
    <message>
      <source>The variable {}</source>
      <translation>Die Variable {}</translation>
    </message>
    <message>
      <source>The setting {}</source>
      <translation>Die Einstellung {}</translation>
    </message>
    <message>
      <source>A file cannot be read or written: {}</source>
      <translation>Eine Datei lässt sich nicht lesen oder schreiben: {}</translation>
    </message>
    <message>
      <source>Fetching uv</source>
      <translation>Hole uv</translation>
    </message>
    <message>
      <source>Making the environment</source>
      <translation>Lege die Umgebung an</translation>
    </message>
    <message>
      <source>Installing the packages of the lock file</source>
      <translation>Installiere die Pakete der Lock-Datei</translation>
    </message>
    <message>
      <source>Installing PyTorch for this machine's graphics driver</source>
      <translation>Installiere PyTorch für den Grafiktreiber dieses Rechners</translation>
    </message>
    <message>
      <source>Installing the other packages of the lock file</source>
      <translation>Installiere die übrigen Pakete der Lock-Datei</translation>
    </message>
    <message>
      <source>The package index cannot be reached: check the network, QGIS's proxy (Settings &gt; Options &gt; Network) and, where it is set, the variable HTTPS_PROXY, or choose a folder of wheels.</source>
      <translation>Der Paketindex ist nicht erreichbar: Prüfen Sie das Netz, den Proxy von QGIS (Einstellungen &gt; Optionen &gt; Netzwerk) und, wo sie gesetzt ist, die Variable HTTPS_PROXY, oder wählen Sie einen Ordner mit Wheels.</translation>
    </message>
    <message>
      <source>A package is missing in the folder of wheels, or the folder has it for another system only.</source>
      <translation>Im Ordner mit Wheels fehlt ein Paket, oder es liegt dort nur für ein anderes System.</translation>
    </message>
    <message>
      <source>The locked packages are not made for this system: they take Linux with glibc 2.28 (2.35 on ARM), Windows, or macOS 15 on Apple silicon.</source>
      <translation>Für dieses System sind die festgelegten Pakete nicht gemacht: Sie brauchen Linux mit glibc 2.28 (auf ARM 2.35), Windows oder macOS 15 auf Apple-Prozessoren.</translation>
    </message>
    <message>
      <source>A package is not the one that SSLKD was made with.</source>
      <translation>Ein Paket ist nicht das, mit dem SSLKD gemacht wurde.</translation>
    </message>
    <message>
      <source>The disk is full.</source>
      <translation>Der Datenträger ist voll.</translation>
    </message>
    <message>
      <source>There is no Python from 3.11 to 3.14: install one, or allow QGIS the network.</source>
      <translation>Es gibt kein Python von 3.11 bis 3.14: Installieren Sie eines, oder erlauben Sie QGIS das Netz.</translation>
    </message>
    <message>
      <source>The environment cannot be made:</source>
      <translation>Die Umgebung kann nicht angelegt werden:</translation>
    </message>
    <message>
      <source>Another set-up of SSLKD is running in {folder} (process {process} on {computer}): wait for its end. If that process is gone, remove the file {file}.</source>
      <translation>Eine andere Einrichtung von SSLKD läuft in {folder} (Prozess {process} auf {computer}): Warten Sie ihr Ende ab. Wenn es diesen Prozess nicht mehr gibt, löschen Sie die Datei {file}.</translation>
    </message>
    <message>
      <source>The folder {} cannot be written to: set-up needs it.</source>
      <translation>In den Ordner {} kann nicht geschrieben werden: Die Einrichtung braucht ihn.</translation>
    </message>
    <message>
      <source>Set-up needs {needed:.0f} GiB in {folder}, and {free:.1f} GiB are free: make room first.</source>
      <translation>Die Einrichtung braucht {needed:.0f} GiB in {folder}, und {free:.1f} GiB sind frei: Schaffen Sie zuerst Platz.</translation>
    </message>
    <message>
      <source>The environment {} is in use ({}): end what SSLKD is doing, and set up again.</source>
      <translation>Die Umgebung {} wird benutzt ({}): Beenden Sie, was SSLKD gerade tut, und richten Sie es noch einmal ein.</translation>
    </message>
    <message>
      <source>{} cannot be removed ({}): end what SSLKD is doing, and try again.</source>
      <translation>{} kann nicht entfernt werden ({}): Beenden Sie, was SSLKD gerade tut, und versuchen Sie es noch einmal.</translation>
    </message>
    <message>
      <source>{program} cannot be started ({reason}): the disk, or a rule of this computer, allows no programs there. Take a QGIS profile elsewhere, or a Python of yours by the action “use”.</source>
      <translation>{program} kann nicht gestartet werden ({reason}): Der Datenträger oder eine Regel dieses Computers erlaubt dort keine Programme. Nehmen Sie ein QGIS-Profil an einem anderen Ort oder mit der Aktion „use“ ein eigenes Python.</translation>
    </message>
    <message>
      <source>{} Taking PyTorch as the lock file has it.</source>
      <translation>{} PyTorch wird genommen, wie es in der Lock-Datei steht.</translation>
    </message>
    <message>
      <source>{} of several parts</source>
      <translation>{} aus mehreren Teilen</translation>
    </message>
    <message>
      <source>{} invalid, mended</source>
      <translation>{} ungültig, repariert</translation>
    </message>
    <message>
      <source>{} with heights or measures, flattened</source>
      <translation>{} mit Höhen oder Messwerten, auf die Ebene gebracht</translation>
    </message>
    <message>
      <source>{} curved, straightened</source>
      <translation>{} mit Kurven, in Strecken zerlegt</translation>
    </message>
    <message>
      <source>{} without a usable shape, left out</source>
      <translation>{} ohne brauchbare Form, ausgelassen</translation>
    </message>
    <message>
      <source>{} far from the raster, left out</source>
      <translation>{} weit vom Raster entfernt, ausgelassen</translation>
    </message>
    <message>
      <source>{}: edits that are not saved yet are used: {} drawn, {} reshaped, {} deleted.</source>
      <translation>{}: Noch nicht gespeicherte Änderungen gelten schon: {} gezeichnet, {} umgeformt, {} gelöscht.</translation>
    </message>
    <message>
      <source>{}: {} feature(s)</source>
      <translation>{}: {} Objekt(e)</translation>
    </message>
    <message>
      <source>Cancelled: nothing was written.</source>
      <translation>Abgebrochen: Es wurde nichts geschrieben.</translation>
    </message>
    <message>
      <source>The layer {} holds no polygon or line that can be used: draw some, or check its filter and its selection.</source>
      <translation>Der Layer {} enthält kein Polygon und keine Linie, die genutzt werden können: Zeichnen Sie welche, oder prüfen Sie seinen Filter und seine Auswahl.</translation>
    </message>
    <message>
      <source>The layer {} has no coordinate reference system: set it first.</source>
      <translation>Der Layer {} hat kein Koordinatenbezugssystem: Legen Sie es zuerst fest.</translation>
    </message>
    <message>
      <source>The layer {} cannot be written to {}: {}</source>
      <translation>Der Layer {} kann nicht nach {} geschrieben werden: {}</translation>
    </message>
    <message>
      <source>The layer {} holds neither polygons nor lines.</source>
      <translation>Der Layer {} enthält weder Polygone noch Linien.</translation>
    </message>
    <message>
      <source>The layer {} cannot be brought to the coordinate reference system of the raster, {}: check the layer's position, and the transformations in the project's properties.</source>
      <translation>Der Layer {} lässt sich nicht in das Koordinatenbezugssystem des Rasters, {}, bringen: Prüfen Sie seine Lage und die Transformationen in den Projekteigenschaften.</translation>
    </message>
    <message>
      <source>A geometry could not be written: {}</source>
      <translation>Eine Geometrie konnte nicht geschrieben werden: {}</translation>
    </message>
    <message>
      <source>validation IoU {:.3f}</source>
      <translation>Validierungs-IoU {:.3f}</translation>
    </message>
    <message>
      <source>F1 {:.3f}</source>
      <translation>F1 {:.3f}</translation>
    </message>
    <message>
      <source>{} bands</source>
      <translation>{} Kanäle</translation>
    </message>
    <message>
      <source>{:.2f} m</source>
      <translation>{:.2f} m</translation>
    </message>
    <message>
      <source>Train and detect</source>
      <translation>Trainieren und erkennen</translation>
    </message>
    <message>
      <source>Trains a road detector on a raster of which a part is annotated, and finds the roads in all of it</source>
      <translation>Trainiert einen Straßendetektor auf einem Raster, von dem ein Teil annotiert ist, und findet die Straßen im ganzen Raster</translation>
    </message>
    <message>
      <source>Trains a road detector on a raster of which a part is annotated, and finds the roads in all of it: &lt;i&gt;Train SSLKD&lt;/i&gt; and &lt;i&gt;Detect roads&lt;/i&gt; in one.

&lt;b&gt;Raster&lt;/b&gt;: the imagery.
&lt;b&gt;Annotations&lt;/b&gt;: road surfaces as polygons, or roads as lines.
&lt;b&gt;Road width&lt;/b&gt;: what roads drawn as lines get, in metres.
&lt;b&gt;Annotated area&lt;/b&gt;: where every road is drawn; a part of the raster. Without it, the whole raster counts as annotated.
&lt;b&gt;Preset&lt;/b&gt;: quick suits a laptop without a GPU, balanced a GPU, paper is what the publication did.

Advanced parameters that stay empty follow the preset. &lt;b&gt;Nodata value&lt;/b&gt;: one that stands for nothing, besides what the raster declares. &lt;b&gt;Steps of each stage&lt;/b&gt;: more take longer. &lt;b&gt;Tile in training&lt;/b&gt; and &lt;b&gt;tiles at a time in training&lt;/b&gt;: less needs less memory. &lt;b&gt;Device&lt;/b&gt;: auto takes the GPU where there is one.

&lt;b&gt;Model file&lt;/b&gt; and &lt;b&gt;report&lt;/b&gt; are those of &lt;i&gt;Train SSLKD&lt;/i&gt;; &lt;b&gt;road surface&lt;/b&gt;, &lt;b&gt;road outlines&lt;/b&gt; and &lt;b&gt;road centre lines&lt;/b&gt; those of &lt;i&gt;Detect roads&lt;/i&gt;.</source>
      <translation>Trainiert einen Straßendetektor auf einem Raster, von dem ein Teil annotiert ist, und findet die Straßen im ganzen Raster: &lt;i&gt;SSLKD trainieren&lt;/i&gt; und &lt;i&gt;Straßen erkennen&lt;/i&gt; in einem.

&lt;b&gt;Raster&lt;/b&gt;: die Bilddaten.
&lt;b&gt;Annotationen&lt;/b&gt;: Straßenflächen als Polygone oder Straßen als Linien.
&lt;b&gt;Straßenbreite&lt;/b&gt;: was als Linien gezeichnete Straßen bekommen, in Metern.
&lt;b&gt;Annotiertes Gebiet&lt;/b&gt;: wo jede Straße gezeichnet ist; ein Teil des Rasters. Ohne es gilt das ganze Raster als annotiert.
&lt;b&gt;Voreinstellung&lt;/b&gt;: quick passt zu einem Laptop ohne GPU, balanced zu einer GPU, paper ist, was die Veröffentlichung tat.

Erweiterte Parameter, die leer bleiben, folgen der Voreinstellung. &lt;b&gt;NoData-Wert&lt;/b&gt;: ein Wert, der für fehlende Daten steht, neben denen, die das Raster angibt. &lt;b&gt;Schritte jeder Stufe&lt;/b&gt;: Mehr dauern länger. &lt;b&gt;Kachel im Training&lt;/b&gt; und &lt;b&gt;Kacheln auf einmal im Training&lt;/b&gt;: Weniger braucht weniger Speicher. &lt;b&gt;Gerät&lt;/b&gt;: auto nimmt die GPU, wo es eine gibt.

&lt;b&gt;Modelldatei&lt;/b&gt; und &lt;b&gt;Bericht&lt;/b&gt; sind die von &lt;i&gt;SSLKD trainieren&lt;/i&gt;; &lt;b&gt;Straßenfläche&lt;/b&gt;, &lt;b&gt;Straßenumrisse&lt;/b&gt; und &lt;b&gt;Straßenmittellinien&lt;/b&gt; die von &lt;i&gt;Straßen erkennen&lt;/i&gt;.</translation>
    </message>
    <message>
      <source>roads,train,detect,model,deep learning,segmentation</source>
      <translation>Straßen,trainieren,erkennen,Modell,Deep Learning,Segmentierung</translation>
    </message>
    <message>
      <source>Cancelled.</source>
      <translation>Abgebrochen.</translation>
    </message>
    <message>
      <source>{} cannot be fetched: {}</source>
      <translation>{} kann nicht geholt werden: {}</translation>
    </message>
    <message>
      <source>it is no program that can be run</source>
      <translation>es ist kein Programm, das ausgeführt werden kann</translation>
    </message>
    <message>
      <source>The layer {} is a picture: choose a raster of values.</source>
      <translation>Der Layer {} ist ein Bild: Wählen Sie ein Raster mit Werten.</translation>
    </message>
    <message>
      <source>Copying {}: {} x {} pixels of {:.2f} m, which are {} tiles of {} x {}.</source>
      <translation>Kopiere {}: {} x {} Pixel von {:.2f} m; das sind {} Kacheln von {} x {}.</translation>
    </message>
    <message>
      <source>The layer {} cannot be copied to {}: {}</source>
      <translation>Der Layer {} kann nicht nach {} kopiert werden: {}</translation>
    </message>
    <message>
      <source>Of the layer {}, {} x {} pixels would be copied, which are {} tiles, and the most are {}: choose a smaller extent, larger pixels or more tiles.</source>
      <translation>Vom Layer {} würden {} x {} Pixel kopiert; das sind {} Kacheln, und höchstens sind es {}: Wählen Sie eine kleinere Ausdehnung, größere Pixel oder mehr Kacheln.</translation>
    </message>
    <message>
      <source>The layer {} is a picture of a server: choose an extent.</source>
      <translation>Der Layer {} ist ein Bild eines Servers: Wählen Sie eine Ausdehnung.</translation>
    </message>
    <message>
      <source>The layer {} is a picture of a server: choose a pixel size.</source>
      <translation>Der Layer {} ist ein Bild eines Servers: Wählen Sie eine Pixelgröße.</translation>
    </message>
    <message>
      <source>The server of the layer {} does not answer: {}</source>
      <translation>Der Server des Layers {} antwortet nicht: {}</translation>
    </message>
    <message>
      <source>The layer {} cannot be copied to {}.</source>
      <translation>Der Layer {} kann nicht nach {} kopiert werden.</translation>
    </message>
    <message>
      <source>The server has nothing for {} of the tiles; they count as nodata.</source>
      <translation>Der Server hat nichts für {} der Kacheln; sie gelten als NoData.</translation>
    </message>
    <message>
      <source>it sent {} in place of imagery</source>
      <translation>er schickte {} statt Bilddaten</translation>
    </message>
    <message>
      <source>The layer {} was edited while its file was made anew: the edits that are not saved yet are of the former features, and would change others. Drop them, or look at each before you save.</source>
      <translation>Der Layer {} wurde bearbeitet, während seine Datei neu angelegt wurde: Die noch nicht gespeicherten Änderungen gelten den früheren Objekten und würden andere ändern. Verwerfen Sie sie, oder sehen Sie sich jede an, bevor Sie speichern.</translation>
    </message>
    <message>
      <source>Roads of {}</source>
      <translation>Straßen von {}</translation>
    </message>
    <message>
      <source>{}: made by {}, SSLKD {}</source>
      <translation>{}: gemacht von {}, SSLKD {}</translation>
    </message>
    <message>
      <source>The layer {} keeps QGIS's style: {}</source>
      <translation>Der Layer {} behält den Stil von QGIS: {}</translation>
    </message>
    <message>
      <source>Set-up needs uv: allow QGIS the network, choose a folder of wheels, or install uv.</source>
      <translation>Die Einrichtung braucht uv: Erlauben Sie QGIS das Netz, wählen Sie einen Ordner mit Wheels, oder installieren Sie uv.</translation>
    </message>
    <message>
      <source>{} has no uv {} for this system.</source>
      <translation>{} hat kein uv {} für dieses System.</translation>
    </message>
    <message>
      <source>The folder {} has no wheel of uv {} for this system.</source>
      <translation>Der Ordner {} hat kein Wheel von uv {} für dieses System.</translation>
    </message>
    <message>
      <source>{reason} Using {program} in its place.</source>
      <translation>{reason} Stattdessen wird {program} verwendet.</translation>
    </message>
    <message>
      <source>{} is not the uv {} that SSLKD was made with.</source>
      <translation>{} ist nicht das uv {}, mit dem SSLKD gemacht wurde.</translation>
    </message>
    <message>
      <source>Fetching {}</source>
      <translation>Hole {}</translation>
    </message>
    <message>
      <source>SSLKD worker</source>
      <translation>SSLKD-Arbeitsprozess</translation>
    </message>
    <message>
      <source>Tiles at a time in training</source>
      <translation>Kacheln auf einmal im Training</translation>
    </message>
    <message>
      <source>Tile in training (pixels, a multiple of 32)</source>
      <translation>Kachel im Training (Pixel, ein Vielfaches von 32)</translation>
    </message>
    <message>
      <source>0–4 m wide</source>
      <translation>0–4 m breit</translation>
    </message>
    <message>
      <source>4–6 m wide</source>
      <translation>4–6 m breit</translation>
    </message>
    <message>
      <source>6–9 m wide</source>
      <translation>6–9 m breit</translation>
    </message>
    <message>
      <source>9–14 m wide</source>
      <translation>9–14 m breit</translation>
    </message>
    <message>
      <source>more than 14 m wide</source>
      <translation>mehr als 14 m breit</translation>
    </message>
    <message>
      <source>Width (m)</source>
      <translation>Breite (m)</translation>
    </message>
    <message>
      <source>Length (m)</source>
      <translation>Länge (m)</translation>
    </message>
    <message>
      <source>no road, rightly</source>
      <translation>zu Recht keine Straße</translation>
    </message>
    <message>
      <source>road, found</source>
      <translation>Straße, gefunden</translation>
    </message>
    <message>
      <source>road, missed</source>
      <translation>Straße, übersehen</translation>
    </message>
    <message>
      <source>called road by mistake</source>
      <translation>fälschlich als Straße bezeichnet</translation>
    </message>
    <message>
      <source>Area (m²)</source>
      <translation>Fläche (m²)</translation>
    </message>
    <message>
      <source>Mean probability</source>
      <translation>Mittlere Wahrscheinlichkeit</translation>
    </message>
    <message>
      <source>no road</source>
      <translation>keine Straße</translation>
    </message>
  </context>
</TS>
