#!/usr/bin/env python3
"""The page of a trace whose every figure is known: read by a parser of XML, as
which it is well-formed, and compared with what it should say and where.

    page.py TRACE_TOOL SPILLWAY
"""
import re
import subprocess
import sys
import tempfile
import unittest
import xml.etree.ElementTree as tree

TOOL, SPILLWAY = sys.argv[1:3]
LEFT, WIDTH = 76, 620  # of what is inside the axes
PAGE = 4096


def report(trace, *options):
    return subprocess.run([SPILLWAY, 'report', *options, trace],
                          capture_output=True, timeout=60)


def made(folder, name='a.trace'):
    trace = f'{folder}/{name}'
    subprocess.run([TOOL, 'make', trace], check=True, timeout=60)
    return trace


def points(path):
    """The corners of a path of absolute M, H and V, in order."""
    x = y = None
    for letter, numbers in re.findall(r'([MHV])([-0-9. ]+)', path.get('d')):
        value = [float(n) for n in numbers.split()]
        if letter == 'M':
            x, y = value
        elif letter == 'H':
            x = value[0]
        else:
            y = value[0]
        yield x, y


class Page(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory()
        cls.trace = made(cls.folder.name)
        done = report(cls.trace)
        assert done.returncode == 0 and not done.stderr, done.stderr
        cls.bytes = done.stdout
        cls.page = tree.fromstring(cls.bytes.decode())

    @classmethod
    def tearDownClass(cls):
        cls.folder.cleanup()

    def picture(self, name):
        return self.page.find(f".//svg[@id='{name}']")

    def rows(self):
        table = self.page.find(".//table[@class='summary']")
        return {row[0].text: ''.join(row[1].itertext()).replace('\u202f', '')
                for row in table.iter('tr')}

    def heights(self, name, kind, bytes_max):
        """Values, in bytes, of a line at the corners of its steps."""
        svg = self.picture(name)
        labels = [t for t in svg.iter('text') if t.get('class') == 'end']
        zero, top = (float(labels[i].get('y')) - 4 for i in (0, -1))
        self.assertEqual(labels[-1].text, bytes_max)
        most = float(bytes_max.split()[0]) * 2**20
        path = next(p for p in svg.iter('path') if p.get('class') == kind)
        return [(x, (zero - y) / (zero - top) * most)
                for x, y in points(path)]

    def test_begins_as_html_and_needs_nothing_else(self):
        text = self.bytes.decode()
        self.assertTrue(text.startswith('<!DOCTYPE html>\n'))
        self.assertEqual(self.page.get('lang'), 'en')
        self.assertNotRegex(text, r'https?:|\bsrc=|\bhref=|<script|@import|url\(')

    def test_names_are_unique_and_lead_somewhere(self):
        names = [e.get('id') for e in self.page.iter() if e.get('id')]
        self.assertEqual(len(names), len(set(names)))
        for element in self.page.iter():
            for name in (element.get('aria-labelledby') or '').split():
                self.assertIn(name, names)

    def test_every_picture_has_a_title_and_a_description(self):
        pictures = list(self.page.iter('svg'))
        self.assertEqual([p.get('id') for p in pictures],
                         ['memory', 'faults', 'heat', 'latency', 'workingset'])
        for picture in pictures:
            self.assertEqual(picture.get('role'), 'img')
            self.assertTrue(picture.find('title').text)
            self.assertTrue(picture.find('desc').text)

    def test_text_and_shapes_are_inside_their_picture(self):
        for picture in self.page.iter('svg'):
            _, _, width, height = map(float, picture.get('viewBox').split())
            for text in picture.iter('text'):
                self.assertTrue(0 <= float(text.get('x')) < width)
                self.assertTrue(8 < float(text.get('y')) < height)
            for path in picture.iter('path'):
                for x, y in points(path):
                    self.assertTrue(0 <= x <= width and 0 <= y <= height)

    def test_summary_has_the_figures_of_the_trace(self):
        rows = self.rows()
        self.assertEqual(rows['command'], "program a&b 'two words' \ufffd")
        self.assertEqual(rows['duration'], '10.0 s')
        self.assertEqual(rows['exit status'], '7')
        self.assertEqual(rows['budget'], '3.91 MiB')
        self.assertEqual(rows['most memory'], '3.95 MiB')
        self.assertEqual(rows['most in swap'],
                         '1.95 MiB, for which devices took 1.00 MiB of memory')
        self.assertEqual(rows['working set'], '5.86 MiB at most, by estimate')
        self.assertEqual(rows['faults'], '5000, which took 500 ms together')
        self.assertEqual(rows['pages'], '5500 taken out, 500 written, 5000 read')
        self.assertEqual(rows['events recorded'], '10500, and 3 dropped')

    def test_memory_is_drawn_where_it_belongs(self):
        for kind, pages in ('used', 1000), ('out', 1500), ('budget', 1000):
            values = self.heights('memory', kind, '6 MiB')
            self.assertEqual(values[0][0], LEFT)
            top = max(v for _, v in values)
            self.assertAlmostEqual(top / PAGE, pages, delta=5)

    def test_working_set_grows_when_pages_come_back(self):
        values = self.heights('workingset', 'estimate', '6 MiB')
        for x, value in values:
            late = x > LEFT + WIDTH * 0.505
            if x < LEFT + WIDTH * 0.495 or late:
                self.assertAlmostEqual(value / PAGE, 1500 if late else 1000,
                                       delta=8)
        self.assertTrue(any(x > LEFT + WIDTH * 0.505 for x, _ in values))

    def test_faults_are_in_the_second_half_of_the_map(self):
        heat = self.picture('heat')
        xs, width, cells = [], WIDTH / 120, 0
        for path in heat.iter('path'):
            if re.match(r'h\d$', path.get('class') or ''):
                for x, y, w in re.findall(r'M([\d.]+) ([\d.]+)h([\d.]+)',
                                          path.get('d')):
                    if float(y) < 350:
                        xs.append(float(x))
                        cells += round(float(w) / width)
        self.assertAlmostEqual(min(xs), LEFT + WIDTH / 2, delta=width + 0.01)
        # The walk is a line through the rows, three times and a third.
        self.assertTrue(200 < cells < 500, cells)
        names = [''.join(t.itertext()) for t in heat.iter('text')]
        self.assertIn('a <program> & more (4711)', names)
        self.assertIn('0x7f0000000000', names)

    def test_rate_of_faults(self):
        svg = self.picture('faults')
        labels = [t.text for t in svg.iter('text') if t.get('class') == 'end']
        self.assertEqual(labels[0].split()[0], '0')
        path = next(p for p in svg.iter('path') if p.get('class') == 'k4')
        corners = [(x, y) for x, y in points(path)]
        low, high = max(y for _, y in corners), min(y for _, y in corners)
        top = next(float(t.get('y')) - 4 for t in svg.iter('text')
                   if t.text == labels[-1])
        most = float(labels[-1].split()[0])
        self.assertAlmostEqual((low - high) / (low - top) * most, 1000,
                               delta=30)

    def test_latencies_of_each_kind(self):
        row = self.page.find(".//tr[@id='kind-4']")
        cells = [c.text.replace('\u202f', '') for c in row]
        self.assertEqual(cells[:8], ['compressed', '5000', '100 µs', '100 µs',
                                     '100 µs', '100 µs', '100 µs', '500 ms'])
        self.assertIsNone(self.page.find(".//tr[@id='kind-1']"))

    def test_ticks_are_round(self):
        for name in 'memory', 'faults', 'heat', 'workingset':
            texts = [t.text for t in self.picture(name).iter('text')
                     if t.get('class') == 'mid']
            self.assertEqual(texts, [f'{s} s' for s in range(0, 11, 2)])

    def test_what_was_dropped_is_said(self):
        notes = [''.join(p.itertext()) for p in self.page.iter('p')]
        self.assertEqual(len(notes), 1)
        self.assertTrue(notes[0].startswith('3 of 10\u202f503 events are missing'))

    def test_same_trace_same_page(self):
        self.assertEqual(report(self.trace).stdout, self.bytes)
        output = f'{self.folder.name}/page.html'
        done = report(self.trace, '-o', output)
        self.assertEqual((done.returncode, done.stdout), (0, b''))
        with open(output, 'rb') as page:
            self.assertEqual(page.read(), self.bytes)

    def test_cut_trace_makes_a_page_that_says_so(self):
        with open(self.trace, 'rb') as whole:
            start = whole.read()[:-20]
        trace = f'{self.folder.name}/cut.trace'
        with open(trace, 'wb') as cut:
            cut.write(start)
        done = report(trace)
        self.assertEqual(done.returncode, 0)
        self.assertEqual(
            done.stderr.decode(),
            f'spillway: report: {trace}: has no end (the session was killed, '
            'or goes on); the page shows what there is\n')
        self.assertIn('no end', tree.fromstring(done.stdout).find('.//p').text)

    def test_damaged_trace_makes_a_page_and_fails(self):
        with open(self.trace, 'rb') as whole:
            data = bytearray(whole.read())
        data[-30] ^= 1
        trace = f'{self.folder.name}/bad.trace'
        with open(trace, 'wb') as bad:
            bad.write(data)
        done = report(trace)
        self.assertEqual(done.returncode, 1)
        self.assertRegex(done.stderr.decode(),
                         r'^spillway: report: .*: damaged behind byte \d+; the '
                         r'page shows what comes before\n$')
        self.assertIn('damaged',
                      tree.fromstring(done.stdout).find('.//p').text)


if __name__ == '__main__':
    unittest.main(argv=sys.argv[:1])
